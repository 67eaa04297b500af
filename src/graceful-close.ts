/**
 * Lets messages arrive that were sent right before their connection is closed.
 *
 * With stock a stream is confirmed when it is handed out, so the listener has called
 * the handler before the first write, and `connection.close()` sends what is left. A
 * listener that gets handshake, data, FIN and the muxer's GoAway in one go cannot write
 * its echo any more, and never calls the handler. So whoever closes a connection waits
 * for the echoes of all streams that were handed out early, as long as libp2p by default
 * gives the end of a connection. `hangUp`, and libp2p when it stops, end up here, too.
 */
import { setMaxListeners } from '@libp2p/interface'
import { raceSignal } from 'race-signal'
import { CONNECTION_CLOSE_TIMEOUT } from './constants.ts'
import { override } from './util/override.ts'
import type { Negotiations } from './negotiation/negotiations.ts'
import type { Override } from './util/override.ts'
import type { AbortOptions, Connection } from '@libp2p/interface'

type Close = Pick<Connection, 'close'>

export class GracefulClose {
  readonly #negotiations: Negotiations
  readonly #overrides = new Map<Connection, Override<Close>>()
  readonly #closing = new Set<Connection>()

  constructor (negotiations: Negotiations) {
    this.#negotiations = negotiations
  }

  add (connection: Connection): void {
    if (this.#overrides.has(connection)) {
      return
    }

    const closing: Override<Close> = override<Close>(connection, {
      close: async options => {
        await this.#wait(connection, options)
        await closing.original.close.call(connection, options)
      }
    })

    this.#overrides.set(connection, closing)
  }

  delete (connection: Connection): void {
    this.#overrides.get(connection)?.restore()
    this.#overrides.delete(connection)
    this.#closing.delete(connection)
  }

  /**
   * Whether somebody closes the connection, so that nothing is to be opened on it
   */
  isClosing (connection: Connection): boolean {
    return this.#closing.has(connection)
  }

  stop (): void {
    for (const connection of [...this.#overrides.keys()]) {
      this.delete(connection)
    }
  }

  /**
   * Without a signal libp2p has as long as ever afterwards: what it is given no time for
   * it does not close, however silent the peer is
   */
  async #wait (connection: Connection, { signal }: AbortOptions = {}): Promise<void> {
    const sent = this.#negotiations.untilSent(connection)

    if (sent == null) {
      return
    }

    signal ??= AbortSignal.timeout(CONNECTION_CLOSE_TIMEOUT)
    setMaxListeners(Infinity, signal)
    this.#closing.add(connection)

    await raceSignal(sent, signal).catch(() => {})
  }
}
