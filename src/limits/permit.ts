import { EARLY, HANDSHAKE } from './call.ts'
import type { Key } from './call.ts'

/**
 * What a call was given, and how to give each of it back
 */
export class Permit {
  #held: Array<[Key, giveBack: () => void]>

  constructor (held: Array<[Key, giveBack: () => void]>) {
    this.#held = held
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
    // nearly always it is bound
    if (this.#held.length > 0) {
      this.#part(() => true)()
    }
  }

  /**
   * Returns a function that gives these back, once
   */
  #part (isPart: (key: Key) => boolean): () => void {
    const part = this.#held.filter(([key]) => isPart(key))

    this.#held = this.#held.filter(([key]) => !isPart(key))

    return () => {
      for (const [, giveBack] of part.splice(0)) {
        giveBack()
      }
    }
  }
}
