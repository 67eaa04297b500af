/**
 * Who uses the connections that were dialled for bulk streams: the last user to go
 * closes them. All other connections are libp2p's to close, and are not counted.
 */
import { hasEnded, onceClosed } from '../../util/streams.ts'
import { endConnection } from '../ending.ts'
import type { AbortOptions, Connection, Logger, Stream } from '@libp2p/interface'

export class ReferenceCounts {
  readonly #users = new Map<Connection, Set<object>>()
  readonly #log: Logger

  constructor (log: Logger) {
    this.#log = log
  }

  /**
   * How many connections are counted
   */
  get size (): number {
    return this.#users.size
  }

  /**
   * Whether the connection is closed when its users have done with it
   */
  has (connection: Connection): boolean {
    return this.#users.has(connection)
  }

  /**
   * The connection has just been dialled
   */
  add (connection: Connection): void {
    // its end may have come since the dial, and would not be noticed
    if (hasEnded(connection)) {
      return
    }

    this.#users.set(connection, new Set())
    connection.addEventListener('close', () => { this.forget(connection) }, { once: true })
  }

  retain (connection: Connection, user: object): void {
    this.#users.get(connection)?.add(user)
  }

  /**
   * Retain the connection as long as the stream is open
   */
  retainFor (stream: Stream, connection: Connection): void {
    if (this.has(connection)) {
      this.retain(connection, stream)
      onceClosed(stream, () => { void this.release(connection, stream) })
    }
  }

  /**
   * Closes the connection if this was its last user. Resolves with whether it was.
   */
  async release (connection: Connection, user: object, { signal }: AbortOptions = {}): Promise<boolean> {
    const users = this.#users.get(connection)

    // who has released it before is not counted again
    if (users?.delete(user) !== true || users.size > 0) {
      return false
    }

    this.#log('closing connection %s to %p, which nobody uses any more', connection.id, connection.remotePeer)
    this.forget(connection)
    await endConnection(connection, signal)

    return true
  }

  /**
   * Leave the connection to libp2p
   */
  forget (connection: Connection): void {
    this.#users.delete(connection)
  }
}
