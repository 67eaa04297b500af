/**
 * What idle QUIC streams take
 */
import { expect, it } from 'vitest'
import { measureIdleStreams } from '../support/idle-quic-streams.ts'

const KIB = 1024

// of fewer, what the rest of a node takes is too large a part
it('1,000 idle QUIC streams take no more than a tenth more memory than those of stock', async () => {
  const stock = await measureIdleStreams(1_000, 'stock')
  const ours = await measureIdleStreams(1_000, {})

  // each end waits for more with a read
  expect(stock.native).toBe(2_000 * 4 * KIB)
  expect(ours.native).toBe(stock.native)
  expect(stock.heap).toBeGreaterThan(1_000 * KIB)
  expect(ours.heap + ours.native).toBeLessThanOrEqual((stock.heap + stock.native) * 1.1)
})
