import type { Needs } from './call.ts'

const NOTHING: Needs = { protocols: [], negotiates: false, early: false }

/**
 * What a call was given
 */
export class Permit {
  #held: Needs
  readonly #giveBack: (held: Needs) => void

  constructor (held: Needs, giveBack: (held: Needs) => void) {
    this.#held = held
    this.#giveBack = giveBack
  }

  /**
   * A stream of the protocol is being opened. Returns a function to be called when
   * it is closed, or was not opened.
   */
  bind (protocol: string): () => void {
    const { protocols, negotiates, early } = this.#held
    let bound: Needs | undefined = { protocols: [protocol], negotiates: false, early }

    this.#held = { protocols: protocols.filter(other => other !== protocol), negotiates, early: false }

    return () => {
      if (bound != null) {
        this.#giveBack(bound)
        bound = undefined
      }
    }
  }

  /**
   * The peer has answered the handshake, or need not
   */
  negotiated (): void {
    const { negotiates } = this.#held

    this.#held = { ...this.#held, negotiates: false }
    this.#giveBack({ ...NOTHING, negotiates })
  }

  /**
   * The call has come to its end: give back what no stream is bound to
   */
  release (): void {
    const held = this.#held

    this.#held = NOTHING
    this.#giveBack(held)
  }
}
