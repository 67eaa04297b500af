import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import { expect, it, vi } from 'vitest'
import { connect, OVER_LINKS, runEverywhere } from './run.ts'

const NODES = 20

/**
 * Nodes that each node dials
 */
const DIALS = 3

/**
 * The same nodes each time, or there would be others that are close to a key
 */
async function privateKeyOf (i: number): Promise<any> {
  return generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(i + 1))
}

async function collect <T> (source: AsyncIterable<T>): Promise<T[]> {
  const output: T[] = []

  for await (const item of source) {
    output.push(item)
  }

  return output
}

it('kad-dht finds peers, values and providers', async () => {
  const key = Buffer.from('/test/key')
  const cid = CID.createV1(0x55, await sha256.digest(Buffer.from('provided')))

  const found = await runEverywhere(`kad-dht, ${NODES} nodes`, async run => {
    const nodes: any[] = []

    for (let i = 0; i < NODES; i++) {
      nodes.push(await run.node(i === NODES - 1 ? 'dialer' : 'other', {
        ping: ping(),
        dht: kadDHT({
          protocol: '/test/kad/1.0.0',
          clientMode: i === NODES - 1,
          peerInfoMapper: passthroughMapper,
          validators: { test: async () => {} },
          selectors: { test: () => 0 },
          allowQueryWithZeroPeers: true,
          initialQuerySelfInterval: 3_600_000,
          querySelfInterval: 3_600_000
        })
      }, 'tcp', { privateKey: await privateKeyOf(i) }))
    }

    const servers = nodes.slice(0, -1)

    for (let i = 0; i < NODES; i++) {
      await Promise.all(Array.from({ length: DIALS }, async (_, j) => connect(nodes[i], servers[(i + j + 1) % servers.length])))
    }

    await vi.waitFor(() => {
      for (const { services: { dht } } of nodes) {
        expect(dht.routingTable.size).toBeGreaterThanOrEqual(DIALS)
      }
    }, { timeout: 10_000, interval: 20 })

    const dialer = nodes.at(-1)
    const nameOf = (id: unknown): number => nodes.findIndex(({ peerId }) => peerId.equals(id))

    return run.time(async () => {
      await dialer.contentRouting.put(key, Buffer.from('value'))
      await servers[0].contentRouting.provide(cid)

      const [value, providers, peer, closest] = await Promise.all([
        servers[1].contentRouting.get(key),
        collect<any>(dialer.contentRouting.findProviders(cid)),
        dialer.peerRouting.findPeer(servers[10].peerId),
        collect<any>(dialer.peerRouting.getClosestPeers(key))
      ])

      return {
        value: Buffer.from(value).toString(),
        providers: [...new Set(providers.map(({ id }) => nameOf(id)))],
        peer: nameOf(peer.id),
        closest: [...new Set(closest.map(({ id }) => nameOf(id)))].sort((a, b) => a - b)
      }
    })
  }, OVER_LINKS)

  expect(found).toMatchObject({ value: 'value', providers: [0], peer: 10 })
  expect(found.closest.length).toBeGreaterThan(DIALS)
})
