import { MAX_KNOWN_PROTOCOLS, MAX_MESSAGE_LENGTH } from '../constants.ts'
import { addBounded } from '../util/bounded.ts'

/**
 * What the peer at the other end of a connection is known to speak: what its last
 * identify or identify-push message named, and what it has confirmed since
 */
export class SpokenProtocols {
  #named: ReadonlySet<string> = new Set()

  /**
   * Whether the peer speaks nothing but what the message named, as far as can be told
   */
  #isComplete = false

  readonly #confirmed = new Set<string>()
  readonly #refused = new Set<string>()

  has (protocol: string): boolean {
    return (this.#named.has(protocol) || this.#confirmed.has(protocol)) && !this.#refused.has(protocol)
  }

  /**
   * Whether the peer has refused it since it last said what it speaks
   */
  hasRefused (protocol: string): boolean {
    return this.#refused.has(protocol)
  }

  all (): string[] {
    return [...this.#named, ...this.#confirmed].filter(protocol => !this.#refused.has(protocol))
  }

  /**
   * The protocol that a full negotiation is certain to select - there may be one, but
   * none that is certain
   */
  firstChoice (protocols: string[]): string | undefined {
    for (const protocol of protocols) {
      if (this.has(protocol)) {
        return protocol
      }

      // one that was named and has failed since may have done so as the peer was
      // overloaded
      if (!this.#isComplete || this.#named.has(protocol)) {
        return undefined
      }
    }
  }

  /**
   * An identify message said so. Any peer can make us hold this, for each connection:
   * those that it names beyond a number, or that are too long to be asked for, are
   * treated as if nothing was known of them.
   */
  named (protocols: string[]): void {
    const held = protocols.slice(0, MAX_KNOWN_PROTOCOLS).filter(({ length }) => length < MAX_MESSAGE_LENGTH)

    this.#named = new Set(held)
    this.#isComplete = held.length === protocols.length
    this.#confirmed.clear()
    this.#refused.clear()
  }

  confirmed (protocol: string): void {
    this.#refused.delete(protocol)

    if (!this.#named.has(protocol)) {
      // so what the message said is not up to date, and nobody knows what else is new
      this.#isComplete = false
      addBounded(this.#confirmed, protocol, MAX_KNOWN_PROTOCOLS)
    }
  }

  refused (protocol: string): void {
    this.#confirmed.delete(protocol)
    addBounded(this.#refused, protocol, MAX_KNOWN_PROTOCOLS)
  }
}
