/**
 * All dials for bulk streams: those of the same address at the same time are one.
 * A stock listener refuses a host's sixth connection within a second, so it matters.
 */
import { Queue } from '@libp2p/utils'
import { DIALS_PER_HOST_INTERVAL, MAX_DIALS_PER_HOST } from '../../constants.ts'
import { nextTurn } from '../../util/next-turn.ts'
import { dialAddress } from './dialer.ts'
import { hostOf } from './filters.ts'
import { Pace } from './pace.ts'
import type { BulkAddress } from './addresses.ts'
import type { DialAddressOptions } from './dialer.ts'
import type { ReferenceCounts } from './reference-counts.ts'
import type { StreamOpenerComponents } from '../../types.ts'
import type { AbortOptions, Connection, OpenConnectionProgressEvents } from '@libp2p/interface'
import type { Job } from '@libp2p/utils'
import type { ProgressOptions } from 'progress-events'

interface JobOptions extends AbortOptions, ProgressOptions<OpenConnectionProgressEvents> {
  key: string
}

export interface DialOptions extends DialAddressOptions {
  signal: AbortSignal

  /**
   * The connection is for nobody else, and its listener is not to refuse it
   */
  own: boolean
}

export class AddressDials {
  readonly #components: StreamOpenerComponents
  readonly #references: ReferenceCounts
  readonly #queue = new Queue<Connection, JobOptions>()
  readonly #pace = new Pace(MAX_DIALS_PER_HOST, DIALS_PER_HOST_INTERVAL)

  constructor (components: StreamOpenerComponents, references: ReferenceCounts) {
    this.#components = components
    this.#references = references
  }

  /**
   * Returns a connection that is closed again unless somebody retains it before the
   * next turn of the event loop
   */
  async dial (address: BulkAddress, options: DialOptions): Promise<Connection> {
    const { signal, onProgress } = options
    const key = options.own ? '' : `${options.timeout} ${address.addr}`

    signal.throwIfAborted()

    const job = options.own ? undefined : this.#queue.queue.find(job => job.options.key === key && !isGivenUp(job))

    if (job != null) {
      return job.join({ signal, onProgress })
    }

    return this.#queue.add(async job => this.#dial(address, { ...options, ...job }), { key, signal, onProgress })
  }

  stop (): void {
    this.#queue.abort()
  }

  async #dial (address: BulkAddress, options: DialOptions): Promise<Connection> {
    const host = hostOf(address.addr)?.value

    if (host != null) {
      await this.#keepPace(host, options)
    }

    const connection = await dialAddress(this.#components, address, options)

    this.#references.add(connection)
    this.#references.retain(connection, options)
    nextTurn(() => { void this.#references.release(connection, options) })

    return connection
  }

  async #keepPace (host: string, { own, signal }: DialOptions): Promise<void> {
    if (own) {
      return this.#pace.wait(host, signal)
    }

    this.#pace.record(host)
  }
}

/**
 * Whether all who wanted the dial have gone, so that it is being aborted. It is also true
 * of one that has ended and is still in the queue: nobody is left there, and who joined
 * it would never be answered, see compat/ended-dial.ts.
 */
function isGivenUp (job: Job<JobOptions, Connection>): boolean {
  return job.recipients.every(({ signal }) => signal?.aborted === true)
}
