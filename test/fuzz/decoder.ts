import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { equals } from 'uint8arrays/equals'
import { encodeHandshake, takeMessage } from '../../src/negotiation/multistream-select.ts'
import { check } from './promises.ts'
import { record } from './record.ts'
import { encodeBoth, parseAt } from './reference.ts'
import { cuts, handshake, pieces, wireOf } from './wire.ts'
import type { Fuzzer } from './fuzzer.ts'
import type { Cuts, Handshake } from './wire.ts'

/**
 * A message of 1,024 bytes, and its length
 */
const MAX_WAITING = 1_026

interface DecoderCase {
  protocol: string
  handshake: Handshake

  /**
   * Bytes behind it
   */
  data: number
  cuts: Cuts

  /**
   * Whether the pieces are lists of pieces themselves
   */
  lists: boolean
}

const protocol = fc.oneof(
  fc.constantFrom('/echo/1.0.0', 'x', 'na', 'ls', '/multistream/1.0.0', '/π/ünï/1.0.0', '\ufeff/bom', '/emoji/😀', '/\0', `/${'a'.repeat(125)}`, `/${'a'.repeat(126)}`, `/${'a'.repeat(1_022)}`),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }).map(text => text.replaceAll('\n', ' '))
)

interface Decoded {
  messages: string[]
  isInvalid: boolean

  /**
   * What is behind them, if all of them are valid
   */
  rest?: Uint8Array
}

function expected (bytes: Uint8Array): Decoded {
  const messages: string[] = []
  let offset = 0

  while (true) {
    const parsed = parseAt(bytes, offset)

    if (parsed.is !== 'message') {
      return parsed.is === 'invalid' ? { messages, isInvalid: true } : { messages, isInvalid: false, rest: bytes.subarray(offset) }
    }

    messages.push(parsed.text)
    offset = parsed.end
  }
}

/**
 * Takes what there is into the messages, returns whether it was valid
 */
function takeAll (buffer: Uint8ArrayList, messages: string[]): boolean {
  try {
    for (let message = takeMessage(buffer); message != null; message = takeMessage(buffer)) {
      messages.push(message)
    }

    return true
  } catch (err) {
    check(err instanceof Error && err.name === 'InvalidMessageError', `it throws ${String(err)}`)

    return false
  }
}

function play (input: DecoderCase): void {
  check(equals(encodeHandshake(input.protocol), encodeBoth(input.protocol)), 'the handshake is another one')

  const wire = wireOf(input.handshake, input.protocol, input.data)
  const buffer = new Uint8ArrayList()
  const messages: string[] = []
  let received = 0

  for (const { piece } of pieces(wire, input.cuts)) {
    const half = piece.length >> 1
    buffer.append(input.lists ? new Uint8ArrayList(piece.subarray(0, half), piece.subarray(half)) : piece)
    received += piece.length

    const isValid = takeAll(buffer, messages)
    const reference = expected(wire.subarray(0, received))
    const context = { received, messages, reference: reference.messages }

    check(isValid !== reference.isInvalid, isValid ? 'it does not refuse what is invalid' : 'it refuses what is valid', context)
    check(JSON.stringify(messages) === JSON.stringify(reference.messages), 'there are other messages', context)

    if (reference.rest == null) {
      return
    }

    check(equals(buffer.subarray(), reference.rest), 'something else is left behind them', context)
    check(buffer.byteLength < MAX_WAITING, `${buffer.byteLength} bytes wait for the rest of a message`, context)
  }
}

export const decoder: Fuzzer<DecoderCase> = {
  name: 'decoder',
  about: 'Handshakes, right and mutated, cut into pieces: takeMessage decodes them as a decoder does that was written independently',
  cases: record({ protocol, handshake, data: fc.nat(40), cuts, lists: fc.boolean() }),
  long: 50_000,
  start: async () => ({
    play: async input => { play(input) },
    stop: async () => {}
  })
}
