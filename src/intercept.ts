/**
 * Routes what others open with `connection.newStream` through the opener: libp2p's
 * `dialProtocol`, and every service, as all of them end up there. Identify, which
 * opens its stream while the connection is being announced, has done so by then.
 */
import { override } from './util/override.ts'
import type { Override } from './util/override.ts'
import type { Connection, Logger, NewStreamOptions, Stream } from '@libp2p/interface'

type OpenIntercepted = (connection: Connection, protocols: string[], options?: NewStreamOptions) => Promise<Stream>

type NewStream = Pick<Connection, 'newStream'>

type Matcher = (protocol: string) => boolean

const QUEUE_ERRORS = ['QueueFullError', 'QueueTimeoutError']

function matcherOf (intercept: boolean | string[] | Matcher): Matcher {
  if (typeof intercept === 'function') {
    return intercept
  }

  return Array.isArray(intercept) ? protocol => intercept.includes(protocol) : () => intercept
}

export class Intercept {
  readonly #matches: Matcher
  readonly #open: OpenIntercepted
  readonly #log: Logger
  readonly #overrides = new Map<Connection, Override<NewStream>>()

  constructor (intercept: boolean | string[] | Matcher, open: OpenIntercepted, log: Logger) {
    this.#matches = matcherOf(intercept)
    this.#open = open
    this.#log = log
  }

  add (connection: Connection): void {
    if (this.#overrides.has(connection)) {
      return
    }

    const intercepted: Override<NewStream> = override<NewStream>(connection, {
      newStream: async (protocols, options) => {
        const requested = Array.isArray(protocols) ? protocols : [protocols]

        // somebody may have wrapped this, and go on calling it
        if (this.#overrides.has(connection) && requested.length > 0 && requested.every(this.#matches)) {
          return this.#openOrLeave(connection, requested, options)
        }

        return intercepted.original.newStream.call(connection, protocols, options)
      }
    })

    this.#overrides.set(connection, intercepted)
  }

  delete (connection: Connection): void {
    this.#overrides.get(connection)?.restore()
    this.#overrides.delete(connection)
  }

  stop (): void {
    for (const connection of [...this.#overrides.keys()]) {
      this.delete(connection)
    }
  }

  /**
   * Where waiting does not help it is libp2p that decides, as without this
   */
  async #openOrLeave (connection: Connection, protocols: string[], options?: NewStreamOptions): Promise<Stream> {
    try {
      return await this.#open(connection, protocols, options)
    } catch (err: any) {
      if (!QUEUE_ERRORS.includes(err?.name)) {
        throw err
      }

      this.#log('leaving a stream of %s to %p to libp2p - %e', protocols, connection.remotePeer, err)
    }

    return this.newStream(connection, protocols, options)
  }

  /**
   * What `connection.newStream` does without this
   */
  async newStream (connection: Connection, protocols: string[], options?: NewStreamOptions): Promise<Stream> {
    const { newStream } = this.#overrides.get(connection)?.original ?? connection

    return newStream.call(connection, protocols, options)
  }
}
