/**
 * libp2p's own multistream-select of one of several protocols, where one of them is taken
 * to be spoken: the others are refused in the place of the listener, which is not asked
 */
import { Uint8ArrayList } from 'uint8arraylist'
import { concat } from 'uint8arrays/concat'
import { MULTISTREAM_PROTOCOL_ID } from '../constants.ts'
import { encode, NOT_AVAILABLE, takeMessage } from './multistream-select.ts'

export class Selection {
  /**
   * Whether libp2p has selected the protocol
   */
  isOver = false

  readonly #sent = new Uint8ArrayList()
  readonly #protocol: string

  constructor (protocol: string) {
    this.#protocol = protocol
  }

  /**
   * What a listener that speaks the protocol, and none of those before it, answers
   */
  answer (data: Uint8Array | Uint8ArrayList): Uint8Array {
    const answers: Uint8Array[] = []
    this.#sent.append(data)

    while (true) {
      const message = takeMessage(this.#sent)

      if (message == null) {
        return concat(answers)
      }

      this.isOver = message === this.#protocol
      answers.push(encode(this.isOver || message === MULTISTREAM_PROTOCOL_ID ? message : NOT_AVAILABLE))
    }
  }
}
