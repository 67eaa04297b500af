/**
 * What idle QUIC streams take
 */
import { expect, it } from 'vitest'
import { measureIdleStreams } from '../support/idle-quic-streams.ts'
import { rounds } from '../support/rounds.ts'

const KIB = 1024

// of a tenth, what the rest of a node takes is too large a part
const STREAMS = rounds(1_000, 4)

it(`${STREAMS} idle QUIC streams take no more than a tenth more memory than those of stock`, async () => {
  const stock = await measureIdleStreams(STREAMS, 'stock')
  const ours = await measureIdleStreams(STREAMS, {})

  // each end waits for more with a read
  expect(stock.native).toBe(2 * STREAMS * 4 * KIB)
  expect(ours.native).toBe(stock.native)
  expect(stock.heap).toBeGreaterThan(STREAMS * KIB)
  expect(ours.heap + ours.native).toBeLessThanOrEqual((stock.heap + stock.native) * 1.1)
})
