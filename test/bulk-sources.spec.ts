/**
 * What can be sent as bulk data
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { receiveBulk, sendBulk } from '../src/index.ts'
import { bytesOf, digestOf } from './support/bulk-data.ts'
import { BulkPair } from './support/bulk-pair.ts'
import { TRANSPORTS } from './support/nodes.ts'
import { rounds } from './support/rounds.ts'
import { pattern } from './support/streams.ts'

const MIB = 1024 * 1024

function * chunksOfSizes (sizes: Iterable<number>): Generator<Uint8Array> {
  for (const size of sizes) {
    yield * bytesOf(size, Math.max(size, 1))
  }
}

/**
 * Sizes on both sides of every limit that there is
 */
const ODD_SIZES = [1, 2, 65_535, 65_536, 65_537, 16_383, 16_384, 16_385, 3, 1_000_003, 0, 7, MIB, 12_345, 262_131, 4_096, 1]

const SOURCES: Array<[string, () => Iterable<Uint8Array>]> = [
  ['chunks of odd sizes', () => chunksOfSizes([...ODD_SIZES, ...ODD_SIZES.toReversed()])],
  ['thousands of tiny chunks', () => chunksOfSizes(Array.from({ length: rounds(100_000) }, (_, i) => i % 13))],
  ['nothing', () => []],
  ['a single byte', () => bytesOf(1)],
  ['one huge chunk', () => [pattern(rounds(24, 4) * MIB + 1)]],
  ['chunks that are empty', () => [new Uint8Array(0), new Uint8Array(0)]],
  ['a lot', () => bytesOf(rounds(40, 4) * MIB + 5)]
]

describe.each(TRANSPORTS)('bulk data over %s', transport => {
  let pair: BulkPair

  beforeAll(async () => { pair = await BulkPair.start(transport) })
  afterEach(() => { pair.abortStreams() })
  afterAll(async () => pair.stop())

  it.each(SOURCES)('takes %s to the other end', async (_, source) => {
    const { outbound, remote } = await pair.open()
    const expected = await digestOf(source())
    const [result, digest] = await Promise.all([
      sendBulk(outbound, source()),
      digestOf(receiveBulk(remote))
    ])

    expect(digest).toStrictEqual(expected)
    expect(result.bytes).toBe(expected.bytes)
    expect(result.duration).toBeGreaterThanOrEqual(0)
    expect(outbound.writeStatus).toBe('closed')
    expect(outbound.status).toBe('open')
  })
})
