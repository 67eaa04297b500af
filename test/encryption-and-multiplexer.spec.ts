/**
 * What an application is told of the connections that its streams are on
 */
import { mplex } from '@libp2p/mplex'
import { noise } from '@libp2p/noise'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { describe, expect, it, onTestFinished } from 'vitest'
import { tls as socketTls } from '../src/tls/index.ts'
import { startBulkNodes } from './support/bulk-nodes.ts'
import { createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { eventually, SITE_TRANSPORTS } from './support/site.ts'
import { ECHO, echo } from './support/streams.ts'
import type { StreamOpener } from '../src/index.ts'
import type { NodeInit } from './support/nodes.ts'
import type { Libp2p } from '@libp2p/interface'

const EXPECTED = {
  tcp: { transport: 'tcp', encryption: '/noise', multiplexer: '/yamux/1.0.0' },
  quic: { transport: 'quic', encryption: 'native', multiplexer: 'quic' },
  ws: { transport: 'ws', encryption: '/noise', multiplexer: '/yamux/1.0.0' }
}

async function start (init: NodeInit): Promise<{ opener: StreamOpener, listener: Libp2p }> {
  const listener = await createStockNode('tcp', init)
  const dialer = await createOpenerNode({}, init)

  onTestFinished(async () => stopNodes(dialer, listener))
  await listener.handle(ECHO, echo)

  return { opener: dialer.services.streamOpener, listener }
}

describe('the encryption and the multiplexer', () => {
  it.each(SITE_TRANSPORTS)('are told of a bulk stream, of a session and of the peer, over %s', async transport => {
    const { site, opener, openSession } = await startBulkNodes()
    const bulk = await opener.openBulkStream(site.addrs, ECHO, { transport, fallback: 'none' })
    const session = await openSession({ transport, fallback: 'none' })
    const { transport: name, encryption, multiplexer } = session

    expect(bulk).toMatchObject(EXPECTED[transport])
    expect({ transport: name, encryption, multiplexer }).toEqual(EXPECTED[transport])
    expect(await session.openStream()).toMatchObject(EXPECTED[transport])
    expect(opener.status(site.node.peerId).connections).toEqual([{ id: bulk.connection.id, ...EXPECTED[transport] }])
  })

  it.each([
    ['@libp2p/tls and mplex', { connectionEncrypters: [tls()], streamMuxers: [mplex()] }, '/tls/1.0.0', '/mplex/6.7.0'],
    ['TLS on the socket and yamux', { connectionEncrypters: [socketTls()], streamMuxers: [yamux()] }, '/tls/1.0.0', '/yamux/1.0.0'],
    ['noise and mplex', { connectionEncrypters: [noise()], streamMuxers: [mplex()] }, '/noise', '/mplex/6.7.0']
  ])('are those that were negotiated: %s', async (_, init, encryption, multiplexer) => {
    const { opener, listener } = await start(init)

    expect(await opener.openBulkStream(listener.getMultiaddrs(), ECHO)).toMatchObject({ transport: 'tcp', encryption, multiplexer })
    expect(opener.status(listener.peerId).connections).toMatchObject([{ transport: 'tcp', encryption, multiplexer }])
  })

  it('of a session are those of the transport that it has come to', async () => {
    const { site, openSession } = await startBulkNodes()
    const session = await openSession({ transport: ['tcp', 'quic'], fallback: 'none' })
    const { encryption, multiplexer, connections: [connection] } = session

    expect({ transport: 'tcp', encryption, multiplexer }).toEqual(EXPECTED.tcp)

    await site.relays.tcp.close()
    await eventually(() => connection?.status !== 'open')

    expect(await session.openStream()).toMatchObject(EXPECTED.quic)
    expect({ transport: session.transport, encryption: session.encryption, multiplexer: session.multiplexer }).toEqual(EXPECTED.quic)
  })
})

describe('the status of a peer', () => {
  it('has no connection that is closed', async () => {
    const { site, dialer, opener } = await startBulkNodes()
    const tcp = await dialer.dial(site.relays.tcp.addr)
    const ws = await dialer.dial(site.relays.ws.addr, { force: true })
    const ids = (): string[] => opener.status(site.node.peerId).connections.map(({ id }) => id)

    expect(ids().toSorted()).toEqual([tcp.id, ws.id].toSorted())

    await tcp.close()
    expect(ids()).toEqual([ws.id])
    await ws.close()
    expect(ids()).toEqual([])
  })
})
