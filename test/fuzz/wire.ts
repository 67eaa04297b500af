/**
 * What somebody might send in the place of a handshake, or its echo
 */
import fc from 'fast-check'
import { concat } from 'uint8arrays/concat'
import { pattern } from '../support/streams.ts'
import { record } from './record.ts'
import { encodeBoth, encodeLength, MULTISTREAM } from './reference.ts'

/**
 * Stands for the protocol in what is said
 */
const PROTOCOL = '<protocol>'

interface Said {
  text: string

  /**
   * How many bytes its length takes at least
   */
  lengthBytes: number
}

/**
 * What is done to the right bytes. All positions are taken modulo their length.
 */
export type Handshake =
  { is: 'right' }
  | { is: 'flipped', at: number, bit: number }
  | { is: 'overwritten', at: number, with: number[] }
  | { is: 'cut', length: number }
  | { is: 'without', from: number, length: number }
  | { is: 'repeating', from: number, length: number }
  | { is: 'said', messages: Said[] }
  | { is: 'any', bytes: number[] }

const position = fc.nat(2_000)
const byte = fc.nat(255)
const said = record<Said>({
  text: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(`${MULTISTREAM}\n`, `${PROTOCOL}\n`) },
    fc.constantFrom('na\n', 'ls\n', '\n', '', '/multistream/2.0.0\n', `${PROTOCOL}\r\n`, ` ${PROTOCOL}\n`, PROTOCOL, `${PROTOCOL}x\n`, 'x'.repeat(126), `${'x'.repeat(1_023)}\n`, `${'x'.repeat(1_024)}\n`)
  ),
  lengthBytes: fc.oneof({ weight: 4, arbitrary: fc.constant(1) }, fc.constantFrom(2, 3))
})

export const wrongHandshake: fc.Arbitrary<Handshake> = fc.oneof(
  record({ is: fc.constant('flipped' as const), at: position, bit: fc.nat(7) }),
  record({ is: fc.constant('overwritten' as const), at: position, with: fc.array(byte, { minLength: 1, maxLength: 4 }) }),
  record({ is: fc.constant('cut' as const), length: position }),
  record({ is: fc.constant('without' as const), from: position, length: position }),
  record({ is: fc.constant('repeating' as const), from: position, length: position }),
  record({ is: fc.constant('said' as const), messages: fc.array(said, { minLength: 1, maxLength: 4 }) }),
  record({ is: fc.constant('any' as const), bytes: fc.array(byte, { maxLength: 60 }) })
)

/**
 * As many right ones as wrong ones
 */
export const handshake: fc.Arbitrary<Handshake> = fc.oneof(fc.constant<Handshake>({ is: 'right' }), wrongHandshake)

export const dataLength = fc.constantFrom(0, 0, 1, 5, 300, 5_000, 70_000, 300_000)

function encodeSaid ({ text, lengthBytes }: Said, protocol: string): Uint8Array {
  const bytes = new TextEncoder().encode(text.replace(PROTOCOL, () => protocol))

  return Uint8Array.from([...encodeLength(bytes.length, lengthBytes), ...bytes])
}

/**
 * The bytes
 */
export function wireOf (handshake: Handshake, protocol: string, data = 0): Uint8Array {
  const right = encodeBoth(protocol)
  const at = (position: number): number => position % right.length
  const rest = pattern(data)

  switch (handshake.is) {
    case 'right':
      return concat([right, rest])
    case 'flipped':
      return concat([right.map((byte, i) => i === at(handshake.at) ? byte ^ (1 << handshake.bit) : byte), rest])
    case 'overwritten':
      return concat([right.map((byte, i) => handshake.with[i - at(handshake.at)] ?? byte), rest])
    case 'cut':
      return right.subarray(0, at(handshake.length))
    case 'without': {
      const from = at(handshake.from)

      return concat([right.subarray(0, from), right.subarray(from + at(handshake.length)), rest])
    }
    case 'repeating': {
      const from = at(handshake.from)

      return concat([right.subarray(0, from + at(handshake.length)), right.subarray(from), rest])
    }
    case 'said':
      return concat([...handshake.messages.map(message => encodeSaid(message, protocol)), rest])
    case 'any':
      return concat([Uint8Array.from(handshake.bytes), rest])
    default:
      throw new Error('There is no such handshake')
  }
}

type Pause = 'nothing' | 'turn' | 'wait'

/**
 * Where something is cut into pieces, and what happens before the next one is sent -
 * or into so many single bytes
 */
export type Cuts = Array<{ at: number, then: Pause }> | { bytes: number, then: Pause }

export const cuts: fc.Arbitrary<Cuts> = fc.oneof(
  fc.array(record({
    at: fc.nat(400),
    then: fc.constantFrom('nothing', 'turn', 'turn', 'turn', 'wait')
  }), { maxLength: 5 }),
  record({
    bytes: fc.nat(60),
    then: fc.constantFrom('nothing', 'turn')
  })
) as fc.Arbitrary<Cuts>

/**
 * The pieces, with what happens after each
 */
export function * pieces (bytes: Uint8Array, cuts: Cuts): Generator<{ piece: Uint8Array, then: Pause }> {
  const all = Array.isArray(cuts) ? cuts : Array.from({ length: cuts.bytes }, (_, at) => ({ at, then: cuts.then }))
  let from = 0

  for (const { at, then } of [...all].sort((a, b) => a.at - b.at)) {
    if (at > from && at < bytes.length) {
      yield { piece: bytes.subarray(from, at), then }
      from = at
    }
  }

  yield { piece: bytes.subarray(from), then: 'nothing' }
}
