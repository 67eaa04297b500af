import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { quic } from '@chainsafe/libp2p-quic'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { memory } from '@libp2p/memory'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { transportOf } from '../src/index.ts'
import { cert, key } from './support/certificate.ts'
import { createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { eventually } from './support/site.ts'
import { ECHO, echo, exchange } from './support/streams.ts'
import type { NodeInit } from './support/nodes.ts'
import type { TransportName } from '../src/index.ts'
import type { Connection, Libp2p } from '@libp2p/interface'

const LISTEN: Array<[TransportName, string]> = [
  ['tcp', '/ip4/127.0.0.1/tcp/0'],
  ['quic', '/ip4/127.0.0.1/udp/0/quic-v1'],
  ['ws', '/ip4/127.0.0.1/tcp/0/ws'],
  ['wss', '/ip4/127.0.0.1/tcp/0/tls/ws'],
  ['wss', '/ip4/127.0.0.1/tcp/0/wss'],
  ['memory', '/memory/transport-of'],
  ['unknown', `/unix/${encodeURIComponent(`/tmp/transport-of-${process.pid}.sock`)}`]
]

const nodes: Libp2p[] = []
const certificates = getCACertificates('default')

function init (listen: string[]): NodeInit {
  return {
    addresses: { listen },
    transports: [tcp(), quic(), webSockets({ https: { key, cert } }), memory(), circuitRelayTransport()]
  }
}

async function start <T extends Libp2p> (creating: Promise<T>): Promise<T> {
  const node = await creating
  nodes.push(node)

  return node
}

async function inboundOf (node: Libp2p, from: Libp2p): Promise<Connection> {
  await eventually(() => node.getConnections(from.peerId).length > 0)

  return node.getConnections(from.peerId)[0] as Connection
}

beforeAll(() => { setDefaultCACertificates([...certificates, cert]) })
afterAll(() => { setDefaultCACertificates(certificates) })
afterEach(async () => { await stopNodes(...nodes.splice(0)) })

describe('the transport of a connection', () => {
  it.each(LISTEN)('is %s at both ends if it was dialled at %s', async (transport, listen) => {
    const listener = await start(createStockNode(undefined, init([listen])))
    const dialer = await start(createStockNode(undefined, init([])))
    const outbound = await dialer.dial(listener.getMultiaddrs())
    const inbound = await inboundOf(listener, dialer)

    expect(inbound.direction).toBe('inbound')
    expect([transportOf(outbound), transportOf(inbound)]).toEqual([transport, transport])
  })

  it.each(LISTEN.slice(0, 4))('is relay at both ends if the relay was dialled over %s', async (transport, listen) => {
    const relay = await start(createStockNode(undefined, { ...init([listen]), services: { relay: circuitRelayServer() } }))
    const far = await start(createStockNode(undefined, init([`${relay.getMultiaddrs()[0]}/p2p-circuit`])))
    await eventually(() => far.getMultiaddrs().length > 0)

    const near = await start(createStockNode(undefined, init([])))
    const outbound = await near.dial(far.getMultiaddrs())
    const inbound = await inboundOf(far, near)

    expect([transportOf(outbound), transportOf(inbound)]).toEqual(['relay', 'relay'])
    expect(transportOf(near.getConnections(relay.peerId)[0] as Connection)).toBe(transport)
  })

  it('is unknown if it is a WebSocket that can not be looked at', async () => {
    const listener = await start(createStockNode(undefined, init(['/ip4/127.0.0.1/tcp/0/ws'])))
    const dialer = await start(createStockNode(undefined, init([])))
    await dialer.dial(listener.getMultiaddrs())
    const inbound = await inboundOf(listener, dialer)

    const hidden = new Proxy(inbound, { get: (target, name) => name === 'maConn' ? undefined : Reflect.get(target, name) })
    expect(transportOf(hidden)).toBe('unknown')
  })
})

describe('bulk streams over what has no relay in the tests', () => {
  it.each(['wss', 'memory'] as const)('are on %s', async transport => {
    const listener = await start(createStockNode(undefined, init(['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/tls/ws', '/memory/transport-of'])))
    await listener.handle(ECHO, echo)
    const dialer = await start(createOpenerNode({}, init([])))

    const bulk = await dialer.services.streamOpener.openBulkStream(listener.getMultiaddrs(), ECHO, { transport, fallback: 'none' })
    expect(bulk).toMatchObject({ transport, fellBack: false })
    expect([...await exchange(bulk.stream, Uint8Array.of(1))]).toEqual([1])
    expect(transportOf(await inboundOf(listener, dialer))).toBe(transport)
  })

  it('use what can be dialled and has no name, if any will do', async () => {
    const listen = LISTEN.at(-1)?.[1] ?? ''
    const listener = await start(createStockNode(undefined, init([listen])))
    await listener.handle(ECHO, echo)
    const dialer = await start(createOpenerNode({}, init([])))

    const bulk = await dialer.services.streamOpener.openBulkStream(multiaddr(listen).encapsulate(`/p2p/${listener.peerId}`), ECHO)
    expect(bulk).toMatchObject({ transport: 'unknown', fellBack: false })
  })
})
