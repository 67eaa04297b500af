import { ProtocolError, UnsupportedProtocolError } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { equals } from 'uint8arrays/equals'
import { MULTISTREAM_PROTOCOL_ID } from '../constants.ts'
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
  readonly #expected: Uint8Array

  /**
   * `expected` is what it looks like on the wire, which is the handshake
   */
  constructor (protocol: string, expected: Uint8Array) {
    this.#protocol = protocol
    this.#expected = expected
  }

  /**
   * Returns true once the echo is complete, throws as soon as it cannot be one
   */
  receive (data: Uint8Array | Uint8ArrayList): boolean {
    this.rest.append(data)

    // nearly always, and a comparison is all that it takes
    if (!this.#receivedHeader && this.#isExpected()) {
      return this.#takeExpected()
    }

    return this.#takeMessages()
  }

  #isExpected (): boolean {
    const length = Math.min(this.rest.byteLength, this.#expected.byteLength)

    return equals(this.rest.subarray(0, length), this.#expected.subarray(0, length))
  }

  #takeExpected (): boolean {
    const { byteLength } = this.#expected

    if (this.rest.byteLength < byteLength) {
      return false
    }

    this.rest.consume(byteLength)

    return true
  }

  #takeMessages (): boolean {
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
