import type { Needs } from './limit.ts'
import type { Permit } from './permit.ts'

/**
 * A call that opens a stream, as far as the limits of its peer are concerned
 */
export interface Call {
  connection: object

  /**
   * Calls of the same kind are for the same connection and need the same, at any time
   */
  kind: string

  /**
   * Higher ones go first, and of the same priority those that asked first
   */
  priority: number
  order: number

  /**
   * Where it may not, it gets a permit that says whether it is over the limit
   */
  mayWait: boolean

  /**
   * For how long nothing may be given back until it gives up, in ms
   */
  timeout: number

  /**
   * Whether the time before the call came counts as well, from when there was
   * something left
   */
  isImpatient: boolean

  signal?: AbortSignal

  /**
   * What it needs now, which may change while it waits
   */
  needs(): Needs

  /**
   * It has to wait. What this throws or rejects with takes the call out of the queue,
   * and gives back what it got.
   */
  whileQueued(granted: Promise<Permit>): Promise<Permit>
}
