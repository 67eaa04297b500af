import type { Key } from './call.ts'

/**
 * Something of which there may be only so many at a time, and the queues that wait
 * for one
 */
export class Slots<Q = unknown> {
  inUse = 0

  /**
   * When one was last taken and given back, as of `performance.now()`
   */
  takenAt = 0
  givenBackAt = 0

  readonly queues = new Set<Q>()

  /**
   * Those for handshakes are for all connections
   */
  readonly connection?: object
  readonly key: Key

  constructor (key: Key, connection?: object) {
    this.key = key
    this.connection = connection
  }

  get isUnused (): boolean {
    return this.inUse === 0 && this.queues.size === 0
  }

  take (): void {
    this.inUse++
    this.takenAt = performance.now()
  }

  giveBack (): void {
    this.inUse--
    this.givenBackAt = performance.now()
  }
}
