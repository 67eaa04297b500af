import { identify } from '@libp2p/identify'
import { stop } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { beforeEach, describe, expect, it } from 'vitest'
import { TransportUnavailableError, transportOf } from '../src/index.ts'
import { rounds } from './support/rounds.ts'
import { PATIENCE, startBulkNodes, startSilentListener } from './support/bulk-nodes.ts'
import { nextEvent } from './support/next-event.ts'
import { createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { handleRaw } from './support/raw-listener.ts'
import { connectionsBetween, cut, createRefusingAddress, createSite, eventually, SITE_TRANSPORTS } from './support/site.ts'
import { ECHO, exchange, pattern } from './support/streams.ts'
import { turn } from './support/wait.ts'
import type { BulkStream, BulkStreamOptions, StreamOpener } from '../src/index.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Site, SiteTransport } from './support/site.ts'
import type { Connection, ConnectionGater, Libp2p, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const SIZE = 256 * 1024
const data = pattern(SIZE)

let site: Site
let dialer: Libp2p<OpenerServices>
let opener: StreamOpener

beforeEach(async () => {
  ({ site, dialer, opener } = await startBulkNodes())
})

async function open (peer: PeerId | Multiaddr | Multiaddr[], options: BulkStreamOptions = {}): Promise<BulkStream> {
  return opener.openBulkStream(peer, ECHO, { dialTimeout: PATIENCE, ...options })
}

async function unavailable (opening: Promise<unknown>): Promise<TransportUnavailableError> {
  const err = await opening.then(() => { throw new Error('It opened') }, err => err)
  expect(err).toBeInstanceOf(TransportUnavailableError)

  return err
}

async function nothingIsLeft (): Promise<void> {
  await eventually(() => dialer.getConnections().length === 0)
  await eventually(() => site.relays.tcp.sockets + site.relays.ws.sockets === 0)
  await eventually(() => site.node.getConnections().length === 0)
}

describe('the transport of a bulk stream', () => {
  it.each(SITE_TRANSPORTS)('carries the bytes over %s', async transport => {
    const bulk = await open(site.addrs, { transport })

    expect(await exchange(bulk.stream, data)).toEqual(data)
    expect(bulk).toMatchObject({ transport, fellBack: false })
    expect(bulk.reason).toBeUndefined()
    expect(transportOf(bulk.connection)).toBe(transport)

    for (const [name, relay] of Object.entries(site.relays)) {
      expect(relay.bytesUp > SIZE).toBe(name === transport)
      expect(relay.bytesDown > SIZE).toBe(name === transport)
    }
  })

  it('is found in the peer store', async () => {
    await dialer.peerStore.patch(site.node.peerId, { multiaddrs: site.addrs })

    expect(await open(site.node.peerId, { transport: 'ws' })).toMatchObject({ transport: 'ws', fellBack: false })
  })

  it('is found by peer routing', async () => {
    const looking = await createOpenerNode({}, {
      peerRouters: [() => ({
        findPeer: async (id: PeerId) => ({ id, multiaddrs: site.addrs }),
        getClosestPeers: async function * () {}
      })]
    })

    try {
      const bulk = await looking.services.streamOpener.openBulkStream(site.node.peerId, ECHO, { transport: 'quic' })
      expect(bulk.transport).toBe('quic')
    } finally {
      await looking.stop()
    }
  })

  it('is that of an address that does not say who is there', async () => {
    const addrs = site.addrs.map(addr => multiaddr(`${addr}`.replace(/\/p2p\/.*/, '')))
    const bulk = await open(addrs, { transport: 'quic' })

    expect(bulk.transport).toBe('quic')
    expect(bulk.connection.remotePeer).toEqual(site.node.peerId)
  })

  it('is the first one in the order of preference that works', async () => {
    const addrs = site.addrs.filter(addr => addr !== site.relays.quic.addr)

    expect(await open(addrs, { transport: ['quic', 'ws', 'tcp'] })).toMatchObject({ transport: 'ws', fellBack: false })
  })

  it('is that of the connection that is open already', async () => {
    const tcp = await dialer.dial(site.relays.tcp.addr)
    const quic = (await open(site.addrs, { transport: 'quic' })).connection

    expect(quic).not.toBe(tcp)
    expect((await open(site.addrs, { transport: 'tcp' })).connection).toBe(tcp)
    expect((await open(site.addrs, { transport: 'quic' })).connection).toBe(quic)
    expect((await open(site.addrs, { transport: ['ws', 'tcp'], scope: 'loopback' })).transport).toBe('ws')
    expect(connectionsBetween(dialer, site.node)).toHaveLength(3)
  })

  it('is that of a connection that the peer has dialled', async () => {
    const listening = await createOpenerNode({}, { addresses: { listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/udp/0/quic-v1', '/ip4/127.0.0.1/tcp/0/ws'] } })

    try {
      for (const addr of listening.getMultiaddrs()) {
        const opened = nextEvent(listening, 'connection:open')
        const outbound = await site.node.dial(addr, { force: true })
        const inbound = (await opened).detail
        const transport = transportOf(outbound)

        expect(transportOf(inbound)).toBe(transport)
        expect(inbound.direction).toBe('inbound')

        const bulk = await listening.services.streamOpener.openBulkStream(site.node.peerId, ECHO, { transport: transport as 'tcp', fallback: 'none' })
        expect(bulk.connection).toBe(inbound)
      }
    } finally {
      await listening.stop()
    }
  })

  it('is dialled anew by force', async () => {
    const first = await open(site.addrs, { transport: 'tcp' })
    const second = await open(site.addrs, { transport: 'tcp', force: true })

    expect(second.connection).not.toBe(first.connection)
    expect(second.transport).toBe('tcp')
  })

  it('is any direct one by default', async () => {
    const tcp = await dialer.dial(site.relays.ws.addr)

    expect(await open(site.addrs)).toMatchObject({ transport: 'ws', connection: tcp, fellBack: false })
  })

  it('carries the bytes, and does not get in the way of anything else that is dialled or opened at the same time', async () => {
    const { relays } = site
    const openOn = async (transport: SiteTransport): Promise<BulkStream> => open(site.addrs, { transport, fallback: 'none' })

    for (let i = 0; i < rounds(200); i++) {
      const transport = SITE_TRANSPORTS[i % 3] ?? 'tcp'
      const others = SITE_TRANSPORTS.filter(name => name !== transport)

      const [bulk, dialled, ordinary, ...rest] = await Promise.all([
        openOn(transport),
        dialer.dial(site.addrs),
        opener.newStream(site.addrs, ECHO),
        ...others.map(openOn),
        dialer.dial(site.relays[others[0] ?? 'tcp'].addr, { force: true })
      ])

      expect(bulk.transport).toBe(transport)
      expect(transportOf(bulk.connection)).toBe(transport)
      expect(rest.slice(0, 2).map(bulk => (bulk as BulkStream).transport)).toEqual(others)
      expect(dialled.status).toBe('open')

      const sent = SITE_TRANSPORTS.map(name => relays[name].bytesUp)
      const [carried, echoed] = await Promise.all([exchange(bulk.stream, data), exchange(ordinary, Uint8Array.of(i))])

      expect(carried).toEqual(data)
      expect([...echoed]).toEqual([i])
      expect(SITE_TRANSPORTS.filter((name, i) => relays[name].bytesUp - (sent[i] ?? 0) > SIZE)).toEqual([transport])

      await Promise.all(dialer.getConnections().map(async connection => connection.close()))
      await nothingIsLeft()
    }
  }, 240_000)
})

describe('a transport that cannot be had', () => {
  it('is replaced by another one if the peer has no address on it', async () => {
    const bulk = await open(site.relays.tcp.addr, { transport: 'quic' })

    expect(bulk).toMatchObject({ transport: 'tcp', fellBack: true, reason: `There is no connection to ${site.node.peerId} on quic: no quic address of the peer is known` })
    expect(await exchange(bulk.stream, data)).toEqual(data)
  })

  it('is replaced by another one if it is refused', async () => {
    const refusing = await createRefusingAddress()
    const addrs = [refusing.encapsulate(`/p2p/${site.node.peerId}`), site.relays.quic.addr]
    const bulk = await open(addrs, { transport: 'tcp' })

    expect(bulk).toMatchObject({ transport: 'quic', fellBack: true })
    expect(bulk.reason).toContain('ECONNREFUSED')
    expect(bulk.reason).toContain(`${refusing}`)
  })

  it('is replaced by an open connection if there is no answer', async () => {
    const silent = await startSilentListener()
    const connection = await dialer.dial(site.relays.quic.addr)
    const bulk = await open(silent.addr.encapsulate(`/p2p/${site.node.peerId}`), { transport: 'tcp', dialTimeout: 100 })

    expect(bulk).toMatchObject({ transport: 'quic', fellBack: true, connection })
    expect(bulk.reason).toContain('There was no connection within 100ms')
    await eventually(() => silent.sockets.size === 0)
  })

  it('is replaced by a relayed connection only if that is allowed', async () => {
    const { circuitRelayServer, circuitRelayTransport } = await import('@libp2p/circuit-relay-v2')
    const { tcp } = await import('@libp2p/tcp')
    const { quic } = await import('@chainsafe/libp2p-quic')
    const init = { transports: [tcp(), quic(), circuitRelayTransport()] }
    const relay = await createStockNode('tcp', { services: { relay: circuitRelayServer() } })
    const far = await createSite({ ...init, transports: [...init.transports, (await import('@libp2p/websockets')).webSockets()], addresses: { listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/udp/0/quic-v1', '/ip4/127.0.0.1/tcp/0/ws', `${relay.getMultiaddrs()[0]}/p2p-circuit`] } })
    const near = await createOpenerNode({}, init)
    const { streamOpener } = near.services

    try {
      await eventually(() => far.node.getMultiaddrs().some(addr => transportOf(addr) === 'relay'))

      const relayed = far.node.getMultiaddrs().find(addr => transportOf(addr) === 'relay') ?? multiaddr('/')
      const connection = await near.dial(relayed)
      expect(transportOf(connection)).toBe('relay')

      // neither is what is there taken for a direct one, nor does it short-circuit the dial
      const err = await unavailable(streamOpener.openBulkStream(relayed, ECHO, { transport: 'tcp' }))
      expect(err.message).toContain('no tcp address of the peer is known')

      for (const transport of ['tcp', 'quic'] as const) {
        expect(await streamOpener.openBulkStream(far.addrs, ECHO, { transport })).toMatchObject({ transport, fellBack: false })
      }

      await Promise.all(near.getConnections(far.node.peerId).filter(other => other !== connection).map(async connection => connection.close()))

      const limited = { runOnLimitedConnection: true }
      expect(await streamOpener.openBulkStream(relayed, ECHO, { ...limited, transport: 'tcp', fallback: 'relay' })).toMatchObject({ transport: 'relay', fellBack: true, connection })
      expect(await streamOpener.openBulkStream(relayed, ECHO, { ...limited, transport: 'relay' })).toMatchObject({ transport: 'relay', fellBack: false, connection })

      await connection.close()
      const dialled = await streamOpener.openBulkStream(relayed, ECHO, { ...limited, transport: 'tcp', fallback: 'relay' })
      expect(dialled).toMatchObject({ transport: 'relay', fellBack: true })
      expect([...await exchange(dialled.stream, Uint8Array.of(1))]).toEqual([1])
    } finally {
      await stopNodes(near)
      await far.stop()
      await stopNodes(relay)
    }
  })

  it.each(SITE_TRANSPORTS)('is given up when nobody answers over %s, and what comes later is closed', async transport => {
    const relay = site.relays[transport]
    relay.hold()

    const err = await unavailable(open(relay.addr, { transport, fallback: 'none', dialTimeout: 100 }))
    expect(err.attempts).toMatchObject([{ transport, addr: relay.addr, error: { name: 'TimeoutError' } }])

    relay.release()
    await nothingIsLeft()
  })

  it('makes the call fail if nothing else will do, with all that was tried', async () => {
    const silent = await startSilentListener()
    const refusing = await createRefusingAddress()
    const peer = site.node.peerId

    await dialer.dial(site.relays.quic.addr)

    const err = await unavailable(open([silent.addr.encapsulate(`/p2p/${peer}`), refusing.encapsulate(`/p2p/${peer}`)], { transport: ['tcp', 'ws'], fallback: 'none', dialTimeout: 2_000 }))

    expect(err.name).toBe('TransportUnavailableError')
    expect(err.attempts).toHaveLength(3)
    expect(err.attempts.map(({ transport, error }) => `${transport} ${error.name}`).sort()).toEqual(['tcp Error', 'tcp TimeoutError', 'ws NotFoundError'])
    expect(err.message).toContain(`There is no connection to ${peer} on tcp or ws: `)
    expect(err.message).toContain(`tcp ${silent.addr}/p2p/${peer}: There was no connection within 2000ms (TimeoutError)`)
    expect(err.message).toContain('no ws address of the peer is known')
    expect(connectionsBetween(dialer, site.node)).toHaveLength(1)
  })

  it('makes the call fail if nothing is known of the peer', async () => {
    const err = await unavailable(open(peerIdFromString('12D3KooWGC6TvWhfapngX6wvJHHYvQXqpnx4UhBMHdcXfG2mZQmT')))

    expect(err.attempts).toHaveLength(1)
    expect(err.message).toContain('no direct address of the peer is known')
  })

  it('is not looked for outside of the scope', async () => {
    const err = await unavailable(open(site.addrs, { transport: 'tcp', scope: 'lan', fallback: 'none' }))
    expect(err.message).toContain('no tcp address of scope lan of the peer is known')

    expect(await open(site.addrs, { transport: 'tcp', scope: 'lan' })).toMatchObject({ fellBack: true })
  })

  it('is not that of another peer', async () => {
    const other = await createSite()

    try {
      const addrs = SITE_TRANSPORTS.map(transport => multiaddr(`${other.relays[transport].addr}`.replace(`${other.node.peerId}`, `${site.node.peerId}`)))
      const err = await unavailable(open(addrs))

      expect(err.attempts.map(({ transport }) => transport).sort()).toEqual(['quic', 'tcp', 'ws'])
      expect(dialer.getConnections()).toEqual([])
      await eventually(() => other.node.getConnections().length === 0)
    } finally {
      await other.stop()
    }
  })
})

describe('dials', () => {
  it('are shared by calls at the same time', async () => {
    const strict = await createSite({ connectionManager: { inboundConnectionThreshold: 5 } })

    try {
      for (const transport of SITE_TRANSPORTS) {
        const opened: Connection[] = []
        strict.node.addEventListener('connection:open', evt => { opened.push(evt.detail) })

        const bulks = await Promise.all(Array.from({ length: 20 }, async () => open(strict.addrs, { transport, fallback: 'none' })))

        expect(new Set(bulks.map(({ connection }) => connection)).size).toBe(1)
        expect(opened).toHaveLength(1)
        await Promise.all(bulks.map(async ({ stream }) => exchange(stream, Uint8Array.of(1))))

        await eventually(() => strict.node.getConnections().length === 1)
        await bulks[0]?.connection.close()
      }
    } finally {
      await strict.stop()
    }
  })

  it('are only aborted when all who wait for them have gone', async () => {
    const { relays: { tcp } } = site
    const controller = new AbortController()
    tcp.hold()

    const reason = new Error('Not any more')
    const leaving = open(tcp.addr, { signal: controller.signal })
    const staying = open(tcp.addr)
    leaving.catch(() => {})

    await eventually(() => tcp.bytesUp > 0)
    controller.abort(reason)
    await expect(leaving).rejects.toBe(reason)

    tcp.release()
    expect(await exchange((await staying).stream, data)).toEqual(data)
    expect(site.node.getConnections()).toHaveLength(1)
  })

  it('start one after the other, and the first success ends all others', async () => {
    const silent = await startSilentListener()
    const addrs = [silent.addr.encapsulate(`/p2p/${site.node.peerId}`), site.relays.tcp.addr]
    const bulk = await open(addrs, { transport: 'tcp', fallback: 'none' })

    expect(bulk.connection.remoteAddr).toEqual(site.relays.tcp.addr)
    await eventually(() => silent.sockets.size === 0)
  })

  it('do not wait for the next turn when one has failed', async () => {
    const refusing = await createRefusingAddress()
    const addrs = [...Array.from({ length: 20 }, (_, i) => multiaddr(`/ip4/127.0.0.${i + 1}/tcp/${refusing.getComponents()[1]?.value}/p2p/${site.node.peerId}`)), site.relays.tcp.addr]

    expect(await open(addrs, { transport: 'tcp' })).toMatchObject({ transport: 'tcp', fellBack: false })
  })

  it('do not go to this node itself', async () => {
    await expect(open(dialer.peerId)).rejects.toMatchObject({ name: 'DialError', message: 'Tried to dial self' })
  })

  it.each(SITE_TRANSPORTS)('let libp2p know where the peer was reached over %s, as its own do', async transport => {
    const silent = await createOpenerNode({}, { services: { identify: identify({ runOnConnectionOpen: false }) } })
    const { streamOpener } = silent.services

    try {
      const { connection } = await streamOpener.openBulkStream(site.relays[transport].addr, ECHO)
      await connection.close()

      const { metadata } = await silent.peerStore.get(site.node.peerId)
      expect([...metadata.keys()]).toContain('last-dial-success')
      expect(await exchange(await streamOpener.newStream(site.node.peerId, ECHO), data)).toEqual(data)
    } finally {
      await silent.stop()
    }
  })

  it('succeed where the peer store does not', async () => {
    const forgetful = await createOpenerNode()
    forgetful.peerStore.merge = async () => { throw new Error('The disk is full') }

    try {
      const { stream } = await forgetful.services.streamOpener.openBulkStream(site.relays.tcp.addr, ECHO)
      expect(await exchange(stream, data)).toEqual(data)
    } finally {
      await forgetful.stop()
    }
  })

  it('leave a connection that identify runs on and that libp2p knows', async () => {
    const identified = nextEvent(dialer, 'peer:identify')
    const { connection } = await open(site.addrs, { transport: 'quic' })

    expect(dialer.getConnections()).toEqual([connection])
    expect((await identified).detail.connection).toBe(connection)
    await eventually(() => site.node.getConnections().length === 1)

    await dialer.hangUp(site.node.peerId)
    await nothingIsLeft()
  })
})

describe('the connection gater', () => {
  const DENIALS: Array<keyof ConnectionGater> = ['denyDialPeer', 'denyDialMultiaddr', 'denyOutboundConnection', 'denyOutboundEncryptedConnection', 'denyOutboundUpgradedConnection']

  it.each(DENIALS.flatMap(denial => SITE_TRANSPORTS.map(transport => [denial, transport] as const)))('is asked with %s over %s', async (denial, transport) => {
    const gated = await createOpenerNode({}, { connectionGater: { [denial]: async () => true } })

    try {
      const err = await unavailable(gated.services.streamOpener.openBulkStream(site.relays[transport].addr, ECHO, { transport }))

      expect(err.attempts).toHaveLength(1)
      expect(err.message).toMatch(/gater/)
      expect(gated.getConnections()).toEqual([])
      await eventually(() => site.relays.tcp.sockets + site.relays.ws.sockets === 0)
      await eventually(() => site.node.getConnections().length === 0)
    } finally {
      await gated.stop()
    }
  })

  it('does not deny what is open already', async () => {
    let denies = false
    const gated = await createOpenerNode({}, { connectionGater: { denyDialPeer: () => denies } })

    try {
      const connection = await gated.dial(site.relays.tcp.addr)
      denies = true
      const bulk = await gated.services.streamOpener.openBulkStream(site.addrs, ECHO, { transport: 'quic' })

      expect(bulk).toMatchObject({ transport: 'tcp', fellBack: true, connection })
      expect(bulk.reason).toContain('the connection gater denies dialling the peer')
    } finally {
      await gated.stop()
    }
  })
})

describe('a bulk stream that is aborted', () => {
  const reason = new Error('I changed my mind')

  async function expectAborted (opening: Promise<unknown>, controller: AbortController): Promise<void> {
    opening.catch(() => {})
    controller.abort(reason)
    await expect(opening).rejects.toBe(reason)
  }

  it('is not dialled if it is before', async () => {
    await expect(open(site.addrs, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(Object.values(site.relays).map(({ bytesUp }) => bytesUp)).toEqual([0, 0, 0])
  })

  it('rejects at once while its peer is looked up', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const controller = new AbortController()
    const looking = await createOpenerNode({}, {
      peerRouters: [() => ({
        findPeer: async () => { resolve(); return new Promise(() => {}) },
        getClosestPeers: async function * () {}
      })]
    })

    try {
      const opening = looking.services.streamOpener.openBulkStream(site.node.peerId, ECHO, { signal: controller.signal })
      opening.catch(() => {})
      await promise
      await expectAborted(opening, controller)
    } finally {
      await looking.stop()
    }
  })

  it('rejects at once while the gater thinks', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const controller = new AbortController()
    const gated = await createOpenerNode({}, { connectionGater: { denyDialMultiaddr: async () => { resolve(); return new Promise(() => {}) } } })

    try {
      const opening = gated.services.streamOpener.openBulkStream(site.addrs, ECHO, { signal: controller.signal })
      opening.catch(() => {})
      await promise
      await expectAborted(opening, controller)
    } finally {
      await gated.stop()
    }
  })

  it.each(SITE_TRANSPORTS)('leaves nothing behind if it is while %s is dialled', async transport => {
    const relay = site.relays[transport]
    const controller = new AbortController()
    relay.hold()

    const opening = open(relay.addr, { signal: controller.signal, transport })
    opening.catch(() => {})
    await eventually(() => relay.bytesUp > 0)
    await expectAborted(opening, controller)

    // the answer comes nevertheless
    relay.release()
    await nothingIsLeft()
  })

  it.each(SITE_TRANSPORTS)('leaves nothing behind if it is while the stream is opened over %s', async transport => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const controller = new AbortController()
    await handleRaw(site.node, '/mute/1.0.0', () => { resolve() })

    const opening = opener.openBulkStream(site.relays[transport].addr, '/mute/1.0.0', { signal: controller.signal })
    opening.catch(() => {})
    await promise
    await expectAborted(opening, controller)
    await nothingIsLeft()
  })

  it.each(SITE_TRANSPORTS)('leaves nothing behind at any time, again and again, over %s', async transport => {
    const { addr } = site.relays[transport]
    const isAlone = (): boolean => dialer.getConnections().length === 0

    for (let i = 0; i < rounds(100, 4); i++) {
      const opened = await Promise.allSettled([3, 7, 11].map(async prime => {
        const controller = new AbortController()
        const opening = open(addr, { signal: controller.signal, transport, force: i % 5 === 0 })
        opening.catch(() => {})

        // from at once to when all are open
        for (let turns = (i * prime) % 40; turns > 0; turns--) {
          await turn()
        }

        controller.abort(reason)

        return opening
      }))

      for (const result of opened) {
        if (result.status === 'fulfilled') {
          expect([...await exchange(result.value.stream, Uint8Array.of(i))]).toEqual([i])
        } else {
          expect(result.reason).toBe(reason)
        }
      }

      const connections = new Set(opened.flatMap(result => result.status === 'fulfilled' ? result.value.connection : []))
      await Promise.all([...connections].map(async connection => connection.close()))
      await eventually(isAlone)
    }

    await nothingIsLeft()
  }, 120_000)

  it('rejects when the service stops', async () => {
    const silent = await startSilentListener()
    const opening = open(silent.addr)
    opening.catch(() => {})
    await eventually(() => silent.sockets.size === 1)

    await stop(opener)
    await expect(opening).rejects.toMatchObject({ name: 'AbortError' })
    await expect(open(site.addrs)).rejects.toMatchObject({ name: 'NotStartedError' })
    await eventually(() => silent.sockets.size === 0)
  })
})

describe('a bulk stream that cannot be opened', () => {
  it('leaves no connection behind that was dialled for it', async () => {
    for (const transport of SITE_TRANSPORTS) {
      await expect(opener.openBulkStream(site.addrs, '/nobody-speaks-this', { transport })).rejects.toMatchObject({ name: 'UnsupportedProtocolError' })
    }

    await nothingIsLeft()
  })

  it('leaves the connections of others alone', async () => {
    const connection = await dialer.dial(site.relays.quic.addr)

    await expect(opener.openBulkStream(site.addrs, '/nobody-speaks-this', { transport: 'quic' })).rejects.toMatchObject({ name: 'UnsupportedProtocolError' })
    expect(connection.status).toBe('open')

    const [failed, opened] = await Promise.allSettled([
      opener.openBulkStream(site.addrs, '/nobody-speaks-this', { transport: 'tcp' }),
      open(site.addrs, { transport: 'tcp' })
    ])

    expect(failed.status).toBe('rejected')
    expect(opened.status).toBe('fulfilled')
    expect(await exchange((opened as PromiseFulfilledResult<BulkStream>).value.stream, data)).toEqual(data)
  })

  it.each(SITE_TRANSPORTS)('is opened on another connection if the first one is lost over %s', async transport => {
    const abortFirst = (evt: CustomEvent<Connection>): void => { cut(evt.detail) }
    site.node.addEventListener('connection:open', abortFirst, { once: true })

    const { stream } = await open(site.relays[transport].addr, { transport })
    expect(await exchange(stream, data)).toEqual(data)
  })
})
