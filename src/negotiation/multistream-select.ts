/**
 * The wire format of multistream-select 1.0, and nothing else: each message is
 * a varint length, a string and a newline that the length includes.
 *
 * ```
 * dialer    \x13/multistream/1.0.0\n\x0c/echo/1.0.0\n
 * listener  \x13/multistream/1.0.0\n\x0c/echo/1.0.0\n   (it can speak it)
 * listener  \x13/multistream/1.0.0\n\x03na\n            (it cannot)
 * ```
 *
 * @see https://github.com/multiformats/multistream-select
 */
import { InvalidMessageError } from '@libp2p/interface'
import * as varint from 'uint8-varint'
import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { MAX_MESSAGE_LENGTH, MULTISTREAM_PROTOCOL_ID } from '../constants.ts'
import type { Uint8ArrayList } from 'uint8arraylist'

const NEWLINE = 0x0a

/**
 * A length of up to MAX_MESSAGE_LENGTH fits into this many bytes
 */
const MAX_LENGTH_LENGTH = varint.encodingLength(MAX_MESSAGE_LENGTH)

export const NOT_AVAILABLE = 'na'

/**
 * What every negotiation begins with, a listener answers it with the same bytes
 */
export const HEADER = encode(MULTISTREAM_PROTOCOL_ID)

export function encode (message: string, before: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = fromString(`${message}\n`)

  return concat([before, varint.encode(bytes.byteLength), bytes])
}

/**
 * What a dialer that wants to use one protocol sends - a listener that speaks
 * the protocol answers with the same bytes.
 */
export function encodeHandshake (protocol: string): Uint8Array {
  return encode(protocol, HEADER)
}

/**
 * Takes the next message off the front of the buffer - returns undefined while
 * there is less than a whole one in it. Throws as soon as what is there cannot
 * become a message, so the buffer never has to hold more than one of them.
 */
export function takeMessage (buffer: Uint8ArrayList): string | undefined {
  const start = buffer.subarray(0, Math.min(buffer.byteLength, MAX_LENGTH_LENGTH))
  const lengthLength = start.findIndex(byte => byte < 0x80) + 1

  if (lengthLength === 0) {
    if (start.byteLength < MAX_LENGTH_LENGTH) {
      return
    }

    throw new InvalidMessageError(`The length of a multistream-select message took more than ${MAX_LENGTH_LENGTH} bytes`)
  }

  const length = varint.decode(start)

  if (length === 0 || length > MAX_MESSAGE_LENGTH) {
    throw new InvalidMessageError(`A multistream-select message has 1 to ${MAX_MESSAGE_LENGTH} bytes, this one has ${length}`)
  }

  if (buffer.byteLength < lengthLength + length) {
    return
  }

  const message = buffer.subarray(lengthLength, lengthLength + length)
  buffer.consume(lengthLength + length)

  if (message[length - 1] !== NEWLINE) {
    throw new InvalidMessageError('A multistream-select message did not end with a newline')
  }

  return toString(message.subarray(0, length - 1))
}
