import { EARLY, HANDSHAKE } from './call.ts'
import { Slots } from './slots.ts'
import type { Key } from './call.ts'
import type { Waiter } from './slots.ts'

/**
 * The slots of one peer that are in use: for handshakes there is one kind over all
 * connections, the others are there for each connection
 */
export class SlotsOfPeer<W extends Waiter> {
  readonly #handshakes = new Slots<W>()
  readonly #connections = new Map<object, Map<Key, Slots<W>>>()

  get negotiating (): number {
    return this.#handshakes.inUse
  }

  /**
   * The streams that are open, or about to be
   */
  get open (): number {
    return [...this.#connections.values()]
      .flatMap(slots => [...slots])
      .reduce((open, [key, { inUse }]) => key === EARLY ? open : open + inUse, 0)
  }

  get isEmpty (): boolean {
    return this.#connections.size === 0 && this.#handshakes.inUse === 0
  }

  find (connection: object, key: Key): Slots<W> | undefined {
    return key === HANDSHAKE ? this.#handshakes : this.#connections.get(connection)?.get(key)
  }

  take (connection: object, key: Key): Slots<W> {
    const slots = this.find(connection, key) ?? this.#add(connection, key)

    slots.inUse++

    return slots
  }

  /**
   * Forget the slots if none of them is in use. They may have been forgotten before,
   * with their connection.
   */
  tidy (connection: object, key: Key, slots: Slots<W>): void {
    const ofConnection = this.#connections.get(connection)

    if (slots.inUse === 0 && ofConnection?.get(key) === slots) {
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

  #add (connection: object, key: Key): Slots<W> {
    const slots = new Slots<W>()
    const ofConnection = this.#connections.get(connection) ?? new Map<Key, Slots<W>>()

    this.#connections.set(connection, ofConnection.set(key, slots))

    return slots
  }
}
