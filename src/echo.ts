import { ProtocolError, UnsupportedProtocolError } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { MULTISTREAM_PROTOCOL_ID } from './constants.ts'
import { NOT_AVAILABLE, takeMessage } from './multistream-select.ts'

/**
 * What a listener answers to the handshake of a protocol that it speaks
 */
export class Echo {
  /**
   * What was received behind the messages that were taken
   */
  readonly rest = new Uint8ArrayList()

  #receivedHeader = false
  readonly #protocol: string

  constructor (protocol: string) {
    this.#protocol = protocol
  }

  /**
   * Returns true once the echo is complete, throws as soon as it can not be one
   */
  receive (data: Uint8Array | Uint8ArrayList): boolean {
    this.rest.append(data)

    while (true) {
      const message = takeMessage(this.rest)

      if (message == null) {
        return false
      }

      if (message === NOT_AVAILABLE) {
        throw new UnsupportedProtocolError(`Protocol selection failed - the peer does not support ${this.#protocol}`)
      }

      const expected = this.#receivedHeader ? this.#protocol : MULTISTREAM_PROTOCOL_ID

      if (message !== expected) {
        throw new ProtocolError(`Expected the peer to answer the handshake with ${JSON.stringify(expected)} but it sent ${JSON.stringify(message)}`)
      }

      if (this.#receivedHeader) {
        return true
      }

      this.#receivedHeader = true
    }
  }
}
