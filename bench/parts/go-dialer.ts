import { isBuilt } from '../../test/support/peers.ts'
import { startPeer } from '../../test/support/peer-process.ts'
import { ECHO } from '../../test/support/streams.ts'
import type { InterleaveInit } from './interleave.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

export interface GoTimings {
  /**
   * How long each NewStream took to the first byte of the answer, one after the
   * other, in ms
   */
  sequential: number[]

  /**
   * The same of `concurrency` at a time
   */
  concurrent: number[]
}

/**
 * What go-libp2p makes of the same listener, where `npm run test:interop` has built
 * it
 */
export async function measureGo (addr: Multiaddr, { warmUp, rounds, concurrency }: InterleaveInit & { concurrency: number }): Promise<GoTimings | undefined> {
  if (!isBuilt('go')) {
    return
  }

  const peer = await startPeer('go')

  async function measure (streams: number, concurrency: number): Promise<number[]> {
    const { firstByte = [], failures } = await peer.exchange({ to: addr, protocol: ECHO, size: 32, streams, concurrency, waitForAnswer: true, timeout: 10_000 })

    if (failures.length > 0) {
      throw new Error(`go-libp2p failed: ${failures.join(', ')}`)
    }

    return firstByte
  }

  try {
    await measure(warmUp, 1)

    return {
      sequential: await measure(rounds, 1),
      concurrent: await measure(rounds, concurrency)
    }
  } finally {
    await peer.stop()
  }
}
