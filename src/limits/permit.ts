import { EARLY, HANDSHAKE } from './limit.ts'
import type { Key, Limit } from './limit.ts'

/**
 * What a call was given, and how to give each of it back
 */
export class Permit {
  /**
   * The protocol that needs no handshake, if there is one
   */
  readonly trusted?: string

  /**
   * There was no room for the call, which was not to wait
   */
  readonly isOverLimit: boolean

  #limits: Limit[]
  readonly #giveBack: (limit: Limit) => void

  constructor (trusted: string | undefined, isOverLimit: boolean, limits: Limit[], giveBack: (limit: Limit) => void) {
    this.trusted = trusted
    this.isOverLimit = isOverLimit
    this.#limits = limits
    this.#giveBack = giveBack
  }

  /**
   * A stream of the protocol is being opened. Returns a function to be called when
   * it is closed, or was not opened.
   */
  bind (protocol: string): () => void {
    return this.#part(key => key === protocol || key === EARLY)
  }

  /**
   * The peer has answered the handshake, or need not
   */
  negotiated (): void {
    this.#part(key => key === HANDSHAKE)()
  }

  /**
   * The call has come to its end: give back what no stream is bound to
   */
  release (): void {
    this.#part(() => true)()
  }

  /**
   * Returns a function that gives these back, once
   */
  #part (isPart: (key: Key) => boolean): () => void {
    // a stream is not to keep more than it has to give back
    const giveBack = this.#giveBack
    const part = this.#limits.filter(({ key }) => isPart(key))

    this.#limits = this.#limits.filter(({ key }) => !isPart(key))

    return () => { part.splice(0).forEach(giveBack) }
  }
}
