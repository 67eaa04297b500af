import { createHash } from 'node:crypto'
import { floodsub } from '@libp2p/floodsub'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { mplex } from '@libp2p/mplex'
import { gossipsub as lodestarGossipsub } from 'lodestar-gossipsub'
import { expect, it, vi } from 'vitest'
import { connect, OVER_LINKS, runEverywhere } from './run.ts'
import type { Libp2pOptions } from 'libp2p'

const TOPIC = 'news'
const NODES = 10
const MESSAGES = 200

/**
 * Nodes that each node dials
 */
const DIALS = 3

interface PubSub {
  /**
   * What a node publishes and subscribes with
   */
  service(components: any): any

  /**
   * What else its nodes have
   */
  options: Partial<Libp2pOptions<any>>
}

const PUBSUBS: Record<string, PubSub> = {
  gossipsub: { service: gossipsub(), options: {} },
  floodsub: { service: floodsub(), options: {} },

  // packages/beacon-node/src/network: gossip/gossipsub.ts and libp2p/index.ts, but for the
  // score, which is about what is in the messages
  'gossipsub as Lodestar has it': {
    service: lodestarGossipsub({
      globalSignaturePolicy: 'StrictNoSign',
      allowPublishToZeroTopicPeers: true,
      D: 8,
      Dlo: 6,
      Dhi: 12,
      Dlazy: 6,
      heartbeatInterval: 700,
      fanoutTTL: 60_000,
      mcacheLength: 6,
      mcacheGossip: 3,
      seenTTL: 768_000,
      gossipsubIWantFollowupMs: 12_000,
      fastMsgIdFn: ({ data }: { data: Uint8Array }) => createHash('sha256').update(data).digest('hex').slice(0, 16),
      msgIdFn: ({ data }: { data: Uint8Array }) => createHash('sha256').update(data).digest().subarray(0, 20),
      msgIdToStrFn: (id: Uint8Array) => Buffer.from(id).toString('base64'),
      asyncValidation: true,
      maxOutboundBufferSize: 16_777_216,
      batchPublish: true,
      floodPublish: true,
      idontwantMinDataSize: 16_829
    }),
    options: {
      streamMuxers: [mplex({ disconnectThreshold: Infinity })],
      services: { identify: identify({ runOnConnectionOpen: false }) }
    }
  }
}

/**
 * What each node has not received of what the others have published
 */
function missingOf (received: Array<Set<string>>, messages: string[]): string[] {
  return received.flatMap((texts, i) => messages.filter((text, j) => j % NODES !== i && !texts.has(text)).map(text => `${i}: ${text}`))
}

it.each(Object.entries(PUBSUBS))('%s brings every message to every node', async (name, { service, options }) => {
  const messages = Array.from({ length: MESSAGES }, (_, i) => `message ${i}`.padEnd(i, '.'))

  const missing = await runEverywhere(`${name}, ${NODES} nodes, ${MESSAGES} messages`, async run => {
    const nodes: any[] = []
    const received: Array<Set<string>> = []

    for (let i = 0; i < NODES; i++) {
      const node = await run.node(i === NODES - 1 ? 'dialer' : 'other', { pubsub: service }, 'tcp', options)
      const texts = new Set<string>()
      const { pubsub } = node.services

      pubsub.addEventListener('message', ({ detail }: any) => { texts.add(Buffer.from(detail.data).toString()) })
      pubsub.addEventListener('gossipsub:message', ({ detail: { msgId, propagationSource } }: any) => {
        pubsub.reportMessageValidationResult(msgId, propagationSource.toString(), 'accept')
      })
      pubsub.subscribe(TOPIC)
      nodes.push(node)
      received.push(texts)
    }

    // some of these are there already
    for (let i = 0; i < NODES; i++) {
      await Promise.all(Array.from({ length: DIALS }, async (_, j) => {
        const node = nodes[i]
        const peer = nodes[(i + j + 1) % NODES]
        await connect(node, peer, options.services != null)
      }))
    }

    await vi.waitFor(() => {
      for (const { services: { pubsub } } of nodes) {
        expect(pubsub.getSubscribers(TOPIC).length).toBe(2 * DIALS)
        expect(pubsub.getMeshPeers?.(TOPIC).length ?? DIALS).toBeGreaterThanOrEqual(DIALS)
      }
    }, { timeout: 20_000, interval: 20 })

    return run.time(async () => {
      await Promise.all(messages.map(async (text, i) => nodes[i % NODES].services.pubsub.publish(TOPIC, Buffer.from(text))))

      await vi.waitUntil(() => missingOf(received, messages).length === 0, { timeout: 20_000, interval: 5 }).catch(() => {})

      return missingOf(received, messages)
    })
  }, OVER_LINKS)

  expect(missing).toEqual([])
})
