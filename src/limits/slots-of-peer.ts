import { HANDSHAKE } from './call.ts'
import { Slots } from './slots.ts'
import type { Key } from './call.ts'

/**
 * The slots of one peer that are in use: for handshakes there is one kind over all
 * connections, the others are there for each connection
 */
export class SlotsOfPeer<Q> {
  readonly #handshakes = new Slots<Q>(HANDSHAKE)
  readonly #connections = new Map<object, Map<Key, Slots<Q>>>()

  get negotiating (): number {
    return this.#handshakes.inUse
  }

  /**
   * The streams that are open, or about to be
   */
  get open (): number {
    return [...this.#connections.values()]
      .flatMap(slots => [...slots.values()])
      .reduce((open, { key, inUse }) => typeof key === 'string' ? open + inUse : open, 0)
  }

  get isEmpty (): boolean {
    return this.#connections.size === 0 && this.#handshakes.inUse === 0
  }

  find (connection: object, key: Key): Slots<Q> | undefined {
    return key === HANDSHAKE ? this.#handshakes : this.#connections.get(connection)?.get(key)
  }

  get (connection: object, key: Key): Slots<Q> {
    return this.find(connection, key) ?? this.#add(connection, key)
  }

  /**
   * Forget the slots if nobody uses or waits for them. They may have been forgotten
   * before, with their connection.
   */
  tidy (slots: Slots<Q>): void {
    const { connection, key, isUnused } = slots
    const ofConnection = connection == null ? undefined : this.#connections.get(connection)

    if (connection != null && isUnused && ofConnection?.get(key) === slots) {
      ofConnection.delete(key)

      if (ofConnection.size === 0) {
        this.#connections.delete(connection)
      }
    }
  }

  delete (connection: object): void {
    this.#connections.delete(connection)
  }

  clear (): void {
    this.#connections.clear()
  }

  #add (connection: object, key: Key): Slots<Q> {
    const slots = new Slots<Q>(key, connection)
    const ofConnection = this.#connections.get(connection) ?? new Map<Key, Slots<Q>>()

    this.#connections.set(connection, ofConnection.set(key, slots))

    return slots
  }
}
