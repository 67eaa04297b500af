/**
 * A DHT in one process: servers that know each other, each behind a link, which is
 * the only address that anybody gets to know of it. Besides there are peers that
 * the servers have the addresses of, for others to find.
 */
import { createServer } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { addressOf, createStockNode } from '../../test/support/nodes.ts'
import { createRelay } from '../../test/support/relay.ts'
import { ready } from './child.ts'
import { connectAll } from './connect-all.ts'
import { dhtServices } from './dht.ts'
import type { DHTServices } from './dht.ts'
import type { Relay } from '../../test/support/relay.ts'
import type { Libp2p } from '@libp2p/interface'
import type { AddressInfo } from 'node:net'

/**
 * One way, in ms
 */
const LINK_DELAY = 25

const [servers = 0, others = 0] = process.argv.slice(2).map(Number)

async function freePort (): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => { server.once('listening', resolve) })
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => { server.close(resolve) })

  return port
}

async function createServerNode (): Promise<{ node: Libp2p<any>, relay: Relay }> {
  const addr = `/ip4/127.0.0.1/tcp/${await freePort()}`
  const relay = await createRelay(multiaddr(addr), { delay: LINK_DELAY })
  const node = await createStockNode<DHTServices>(undefined, {
    addresses: { listen: [addr], announce: [relay.addr.toString()] },
    services: dhtServices({ clientMode: false })
  })

  return { node, relay }
}

const created = []

for (let i = 0; i < servers; i++) {
  created.push(await createServerNode())
}

const nodes: Libp2p[] = created.map(({ node }) => node)
const addresses = nodes.map(node => addressOf(node).toString())

await Promise.all(nodes.slice(1).map(async (node, i) => connectAll(node, addresses.slice(0, i + 1))))

// so that it does not depend on who is asked first how long it takes to find them
const known = await Promise.all(Array.from({ length: others }, async () => {
  const known = await createStockNode('tcp')
  await Promise.all(nodes.map(async node => node.peerStore.merge(known.peerId, { multiaddrs: known.getMultiaddrs() })))

  return known
}))

ready({ servers: addresses, others: known.map(node => node.peerId.toString()) }, [...nodes, ...known], created.map(({ relay }) => relay))
