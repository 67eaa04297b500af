/**
 * What libp2p's own suites ask of streams, asked of stock and of this: those of libp2p
 * (connection, upgrader, connections), of its muxers (close-test, stream-test of
 * interface-compliance-tests) and of kad-dht (rpc). What they ask of protocols is in
 * like-upstream-protocols.spec.ts.
 */
import { beforeAll, describe, it } from 'vitest'
import { expectLikeStock } from './like-stock/expect.ts'
import { handleAll, PROGRAMS } from './like-stock/lifecycle.ts'
import { observe } from './like-stock/observe.ts'
import { useWorld } from './like-stock/use-world.ts'
import { placeOf } from './like-stock/world.ts'
import { sampled } from './support/rounds.ts'
import type { Muxer } from './like-stock/world.ts'
import type { TransportName } from './support/nodes.ts'

const WORLDS: Array<[TransportName, Muxer]> = [['tcp', 'yamux'], ['quic', 'yamux'], ['memory', 'yamux'], ['tcp', 'mplex']]

describe.each(WORLDS)('over %s with %s, a program', (transport, muxer) => {
  const world = useWorld(transport, muxer, {})

  beforeAll(async () => {
    await Promise.all(world().listeners.map(handleAll))
  })

  it.each(sampled(Object.entries(PROGRAMS), placeOf(transport, muxer)))('that %s sees what it sees with stock', async (_, { run, isAsGood }) => {
    await expectLikeStock(world(), [''], {
      run: async side => observe(async observer => run(side, observer)),
      isAsGood: seen => isAsGood?.test(seen) === true
    })
  })
})
