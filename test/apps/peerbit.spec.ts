import { create } from '@peerbit/indexer-simple'
import { Peerbit } from 'peerbit'
import { expect, it, vi } from 'vitest'
import { pattern } from '../support/streams.ts'
import { runEverywhere } from './run.ts'
import type { Role, Run } from './run.ts'

const TOPIC = 'news'
const MESSAGES = 100

/**
 * With its own muxers, as it is about these that it differs
 */
async function startPeerbit (run: Run, role: Role): Promise<any> {
  const { addresses, transports, connectionEncrypters, connectionManager, services } = run.options(role, {})
  const peer = await Peerbit.create({
    relay: false,
    indexer: create,
    libp2p: { addresses, transports, connectionEncrypters, connectionManager, services }
  })

  run.onEnd(async () => peer.stop())
  await run.link(peer.libp2p)

  return peer
}

it('Peerbit brings messages and blocks from one to the other', async () => {
  const block = pattern(100_000)

  const result = await runEverywhere(`Peerbit, ${MESSAGES} messages and a block`, async run => {
    const other = await startPeerbit(run, 'other')
    const dialer = await startPeerbit(run, 'dialer')
    const received = new Set<string>()

    other.services.pubsub.addEventListener('data', ({ detail }: any) => { received.add(Buffer.from(detail.data.data).toString()) })
    await other.services.pubsub.subscribe(TOPIC)
    await dialer.services.pubsub.subscribe(TOPIC)
    await dialer.dial(other.libp2p.getMultiaddrs())
    const [connection] = dialer.libp2p.getConnections()

    await vi.waitFor(async () => {
      expect(await dialer.services.pubsub.getSubscribers(TOPIC)).toHaveLength(2)
    }, { timeout: 10_000, interval: 20 })

    return run.time(async () => {
      for (let i = 0; i < MESSAGES; i++) {
        await dialer.services.pubsub.publish(Buffer.from(`message ${i}`), { topics: [TOPIC] })
      }

      const cid = await other.services.blocks.put(block)
      const got = await dialer.services.blocks.get(cid, { remote: { timeout: 10_000 } })

      await vi.waitFor(() => { expect(received.size).toBe(MESSAGES) }, { timeout: 10_000, interval: 5 })

      return { multiplexer: connection.multiplexer, areSame: Buffer.compare(got, block), received: [...received].sort() }
    })
  })

  expect(result).toMatchObject({ multiplexer: '/peerbit/yamux/1.0.0', areSame: 0 })
  expect(result.received).toHaveLength(MESSAGES)
})
