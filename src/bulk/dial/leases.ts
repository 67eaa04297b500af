/**
 * Who uses the connections that were dialled for bulk streams: when nobody does any
 * more they are closed. All other connections are libp2p's to close, and are not in
 * here.
 */
import { onceClosed } from '../../util/streams.ts'
import { endConnection, isClosed } from '../ending.ts'
import type { Connection, Logger, Stream } from '@libp2p/interface'

export class Leases {
  readonly #holders = new Map<Connection, Set<object>>()
  readonly #log: Logger

  constructor (log: Logger) {
    this.#log = log
  }

  get size (): number {
    return this.#holders.size
  }

  /**
   * Whether the connection is closed when those who hold it have done with it
   */
  has (connection: Connection): boolean {
    return this.#holders.has(connection)
  }

  /**
   * The connection has just been dialled
   */
  add (connection: Connection): void {
    // its end may have come since the dial, and would not be noticed
    if (isClosed(connection)) {
      return
    }

    this.#holders.set(connection, new Set())
    connection.addEventListener('close', () => { this.#holders.delete(connection) }, { once: true })
  }

  hold (connection: Connection, holder: object): void {
    this.#holders.get(connection)?.add(holder)
  }

  /**
   * Hold the connection as long as the stream is open
   */
  holdFor (connection: Connection, stream: Stream): void {
    if (this.#holders.has(connection)) {
      this.hold(connection, stream)
      onceClosed(stream, () => { this.drop(connection, stream) })
    }
  }

  /**
   * Returns whether the connection has to be closed now
   */
  release (connection: Connection, holder: object): boolean {
    const holders = this.#holders.get(connection)

    if (holders?.delete(holder) !== true || holders.size > 0) {
      return false
    }

    return this.#holders.delete(connection)
  }

  /**
   * Close the connection unless somebody else holds it
   */
  drop (connection: Connection, holder: object): void {
    if (this.release(connection, holder)) {
      this.#log('closing connection %s to %p, which nobody uses any more', connection.id, connection.remotePeer)
      void endConnection(connection)
    }
  }

  /**
   * Leave the connection to libp2p
   */
  keep (connection: Connection): void {
    this.#holders.delete(connection)
  }
}
