/**
 * What is left of QUIC streams and connections
 */
import { expect, it, vi } from 'vitest'
import { NativeReads } from '../../src/compat/quic/native-reads.ts'
import { countObjects } from '../support/count-objects.ts'
import { collectGarbage } from '../support/gc.ts'
import { connectIdentified } from '../support/nodes.ts'
import { createQuicNode } from '../support/quic-streams.ts'
import { rounds } from '../support/rounds.ts'
import { pattern } from '../support/streams.ts'

it('nothing is left of QUIC streams and connections that are gone', async () => {
  const dialer = await createQuicNode(false)
  const listener = await createQuicNode(true)
  await listener.handle('/leave/1.0.0', stream => { stream.pause() })

  // a function of its own, or the last stream stays on the stack
  async function connect (i: number): Promise<void> {
    const connection = await connectIdentified(dialer, listener)

    for (let j = 0; j < 20; j++) {
      const stream = await connection.newStream('/leave/1.0.0')
      stream.send(pattern(100_000))

      if (j % 3 === 0) {
        stream.abort(new Error('Reset'))
      } else if (j % 3 === 1) {
        await stream.close()
      }
    }

    if (i % 2 === 0) {
      await connection.close()
    } else {
      connection.abort(new Error('Gone'))
    }
  }

  for (let i = 0; i < rounds(20, 5); i++) {
    await connect(i)
  }

  // libp2p keeps them for some seconds, in timers, and each look is one at the whole heap
  expect(countObjects(NativeReads)).toBeGreaterThan(0)
  await vi.waitFor(() => {
    collectGarbage()
    expect(countObjects(NativeReads)).toBe(0)
  }, { timeout: 60_000, interval: 2_000 })
})
