/**
 * multistream-select 1.0 once more, written from its specification and from nothing
 * in src, as slow and plain as it can be
 *
 * @see https://github.com/multiformats/multistream-select
 */

/**
 * The specification has no bound, go-libp2p and js-libp2p take no longer ones
 */
const MAX_LENGTH = 1024

export const MULTISTREAM = '/multistream/1.0.0'

export type Parsed =
  { is: 'message', text: string, end: number }
  | { is: 'incomplete' }
  | { is: 'invalid' }

/**
 * A length in the base of 128, least significant digit first, in no fewer bytes than
 * asked for
 */
export function encodeLength (length: number, least = 1): number[] {
  const digits = [length % 128]

  for (let rest = Math.floor(length / 128); rest > 0 || digits.length < least; rest = Math.floor(rest / 128)) {
    digits.push(rest % 128)
  }

  return digits.map((digit, i) => i === digits.length - 1 ? digit : digit + 128)
}

export function encodeMessage (text: string): Uint8Array {
  const bytes = new TextEncoder().encode(`${text}\n`)

  return Uint8Array.from([...encodeLength(bytes.length), ...bytes])
}

export function encodeBoth (protocol: string): Uint8Array {
  return Uint8Array.from([...encodeMessage(MULTISTREAM), ...encodeMessage(protocol)])
}

/**
 * The message that begins there
 */
export function parseAt (bytes: Uint8Array, start: number): Parsed {
  let length = 0
  let offset = start

  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[offset++]

    if (factor > MAX_LENGTH * 2) {
      return { is: 'invalid' }
    }

    if (byte == null) {
      return { is: 'incomplete' }
    }

    length += byte % 128 * factor

    if (byte < 128) {
      break
    }
  }

  if (length < 1 || length > MAX_LENGTH) {
    return { is: 'invalid' }
  }

  const end = offset + length

  if (bytes.length < end) {
    return { is: 'incomplete' }
  }

  if (bytes[end - 1] !== '\n'.charCodeAt(0)) {
    return { is: 'invalid' }
  }

  return { is: 'message', text: new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(offset, end - 1)), end }
}

/**
 * Where the data behind the echo of a protocol begins, if that is what the bytes
 * begin with
 */
export function endOfEcho (bytes: Uint8Array, protocol: string): number | undefined {
  const header = parseAt(bytes, 0)

  if (header.is !== 'message' || header.text !== MULTISTREAM) {
    return
  }

  const echo = parseAt(bytes, header.end)

  return echo.is === 'message' && echo.text === protocol ? echo.end : undefined
}
