import { start, stop } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { beforeEach, describe, expect, it } from 'vitest'
import { Pace } from '../src/bulk/dial/pace.ts'
import { rounds } from './support/rounds.ts'
import { PATIENCE, startBulkNodes, startBulkOpener, startSilentListener, works } from './support/bulk-nodes.ts'
import { nextEvent } from './support/next-event.ts'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { handleRaw } from './support/raw-listener.ts'
import { createSite, eventually, SITE_TRANSPORTS } from './support/site.ts'
import { ECHO, pattern } from './support/streams.ts'
import { turn, turns } from './support/wait.ts'
import type { BulkStream, StreamOpener } from '../src/index.ts'
import type { BulkNodes } from './support/bulk-nodes.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Site } from './support/site.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

let site: Site
let dialer: Libp2p<OpenerServices>
let opener: StreamOpener
let openSession: BulkNodes['openSession']

beforeEach(async () => {
  ({ site, dialer, opener, openSession } = await startBulkNodes())
})

async function withDialer (run: (node: Libp2p<OpenerServices>, opener: StreamOpener) => Promise<void>, ...init: Parameters<typeof createOpenerNode>): Promise<void> {
  const node = await createOpenerNode(...init)

  try {
    await run(node, node.services.streamOpener)
  } finally {
    await stopNodes(node)
  }
}

describe('dials of their own', () => {
  it('do not wait for those that were given up', async () => {
    const controller = new AbortController()
    const options = { transport: 'tcp' as const, force: true, dialTimeout: PATIENCE }
    const given = Array.from({ length: 400 }, async () => opener.openBulkStream(site.addrs, ECHO, { ...options, signal: controller.signal }))
    const settled = Promise.allSettled(given)

    await eventually(() => site.relays.tcp.sockets > 0)
    controller.abort()
    await settled

    const { stream } = await opener.openBulkStream(site.addrs, ECHO, options)
    await works(stream)
  })
})

describe('the pace of dials', () => {
  it('is kept for each host, however long the dials of another one have to wait', async () => {
    const pace = new Pace(1, 60_000)
    const controller = new AbortController()
    const reason = new Error('Enough')
    const arrived: string[] = []
    const wait = async (host: string): Promise<void> => {
      await pace.wait(host, controller.signal)
      arrived.push(host)
    }

    await wait('near')
    await wait('far')
    const waiting = Promise.allSettled([wait('far'), wait('far'), wait('near')])

    await turns(10)

    expect(arrived).toEqual(['near', 'far'])
    controller.abort(reason)
    expect((await waiting).map(result => result.status === 'rejected' && result.reason === reason)).toEqual([true, true, true])
  })
})

describe('where a stream is said to have fallen back', () => {
  it('is so for all connections of a session that did', async () => {
    const session = await openSession({ transport: 'quic', connections: 'per-stream', maxConnections: 3 }, [site.relays.tcp.addr])
    const streams = await Promise.all(Array.from({ length: 3 }, async () => session.openStream()))

    expect(new Set(streams.map(({ connection }) => connection)).size).toBe(3)

    for (const bulk of streams) {
      expect(bulk).toMatchObject({ transport: 'tcp', fellBack: true })
      expect(bulk.reason).toContain('no quic address of the peer is known')
    }
  })

  it('is so for all connections of a session that is out of scope', async () => {
    const session = await openSession({ transport: 'tcp', scope: 'lan', connections: 'per-stream', maxConnections: 3 })
    const streams = await Promise.all(Array.from({ length: 3 }, async () => session.openStream()))

    expect(new Set(streams.map(({ connection }) => connection)).size).toBe(3)

    for (const bulk of streams) {
      expect(bulk.fellBack).toBe(true)
      expect(bulk.reason).toContain('no tcp address of scope lan of the peer is known')
    }
  })

  it('is not so if the peer has connected on the wanted transport while it was dialled', async () => {
    const asked = Promise.withResolvers<void>()
    const answer = Promise.withResolvers<boolean>()

    await withDialer(async (node, opener) => {
      const opening = opener.openBulkStream(site.addrs, ECHO, { transport: 'quic' })
      await asked.promise

      const quic = node.getMultiaddrs()[0] ?? multiaddr('/')
      await Promise.all([nextEvent(node, 'connection:open'), site.node.dial(quic)])
      answer.resolve(true)

      const bulk = await opening
      expect(bulk).toMatchObject({ transport: 'quic', fellBack: false })
      expect(bulk.reason).toBeUndefined()
      expect(bulk.connection.direction).toBe('inbound')
    }, {}, {
      addresses: { listen: ['/ip4/127.0.0.1/udp/0/quic-v1'] },
      connectionGater: { denyDialMultiaddr: async () => { asked.resolve(); return answer.promise } }
    })
  })
})

describe('a WebSocket that nobody answers', () => {
  it('is closed when its time is over', async () => {
    const silent = await startSilentListener()
    const addr = silent.addr.encapsulate(`/ws/p2p/${site.node.peerId}`)

    await expect(opener.openBulkStream(addr, ECHO, { transport: 'ws', dialTimeout: 100 })).rejects.toMatchObject({ name: 'TransportUnavailableError' })
    await eventually(() => silent.sockets.size === 0)
  })

  it('is closed when the call is aborted', async () => {
    const silent = await startSilentListener()
    const controller = new AbortController()
    const addr = silent.addr.encapsulate(`/ws/p2p/${site.node.peerId}`)
    const opening = opener.openBulkStream(addr, ECHO, { transport: 'ws', dialTimeout: 500, signal: controller.signal })
    opening.catch(() => {})

    await eventually(() => silent.sockets.size === 1)
    controller.abort()
    await expect(opening).rejects.toMatchObject({ name: 'AbortError' })
    await eventually(() => silent.sockets.size === 0)
  })
})

describe('a stream of a session', () => {
  it('has its options checked before anything is dialled', async () => {
    const session = await openSession({ transport: 'tcp', connections: 'per-stream' })
    await session.openStream()

    await expect(session.openStream({ maxOutboundStreams: -1 })).rejects.toMatchObject({ name: 'InvalidParametersError' })
    expect(session.connections).toHaveLength(1)
  })

  it('counts what is read after its end in the session as well', async () => {
    const data = pattern(64 * 1024)
    await site.node.handle('/gift/1.0.0', async stream => { stream.send(data); await stream.close() })
    const session = await opener.openBulkSession(site.addrs, '/gift/1.0.0', { transport: 'tcp' })
    const { stream } = await session.openStream()

    await stream.close()
    await eventually(() => stream.status === 'closed')
    expect(session).toMatchObject({ bytesReceived: 0, streams: [] })

    expect((await nextEvent(stream, 'message')).data.byteLength).toBe(data.byteLength)
    expect(session).toMatchObject({ bytesReceived: data.byteLength, streams: [] })
  })

  it('is ended with the session whenever that is closed', async () => {
    await dialer.dial(site.relays.tcp.addr)

    for (let i = 0; i < 300; i++) {
      const session = await openSession({ transport: 'tcp' })
      const [connection] = session.connections
      const opening = Promise.allSettled([session.openStream()])

      if (i % 2 === 0) {
        // before, in the middle of, and after the answer of the peer
        for (let turns = i % 30; turns > 0; turns--) {
          await turn()
        }
      } else {
        for (let turns = i % 150; turns > 0; turns--) {
          await Promise.resolve()
        }
      }

      expect(await session.close()).toBe(0)
      await opening
      await eventually(() => connection?.streams.some(({ protocol }) => protocol === ECHO) === false)
      expect(session.streams).toEqual([])
    }
  }, 120_000)
})

describe('a session with a connection per stream', () => {
  it('asks the gater for each, and goes on with those that it allows', async () => {
    let asked = 0

    await withDialer(async (node, opener) => {
      const session = await opener.openBulkSession(site.addrs, ECHO, { transport: 'tcp', connections: 'per-stream', dialTimeout: PATIENCE })
      const streams = await Promise.all(Array.from({ length: 4 }, async () => session.openStream()))

      expect(asked).toBe(4)
      expect(session.connections).toHaveLength(1)
      expect(node.getConnections()).toEqual(session.connections)
      expect(streams.some(({ reason }) => /^The session goes on with 1 of 4 connections: .* gater denies/.test(reason ?? ''))).toBe(true)
      await Promise.all(streams.map(async ({ stream }) => works(stream)))
      expect(await session.close()).toBe(1)
    }, {}, { connectionGater: { denyDialMultiaddr: () => ++asked > 1 } })
  })

  it('rejects a stream that is aborted while it waits for its next try, and goes on', async () => {
    const strict = await createSite({ connectionGater: { denyInboundConnection: () => ++dialled > 1 } })
    const controller = new AbortController()
    const reason = new Error('Not this one')
    let dialled = 0

    try {
      const session = await openSession({ transport: 'tcp', connections: 'per-stream', fallback: 'none' }, strict.addrs)
      const first = await session.openStream()
      const opening = session.openStream({ signal: controller.signal })
      opening.catch(() => {})

      await eventually(() => dialled === 2)
      await eventually(() => strict.relays.tcp.sockets === 1)
      controller.abort(reason)

      await expect(opening).rejects.toBe(reason)
      await works(first.stream)
      expect(await session.close()).toBe(1)
    } finally {
      await strict.stop()
    }
  })
})

describe('a session with addresses that do not say who is there', () => {
  it('does not go on with another peer', async () => {
    const first = await createStockNode('tcp')
    const addr = multiaddr(`${addressOf(first)}`.replace(/\/p2p\/.*/, ''))
    const session = await openSession({ transport: 'tcp', connections: 'per-stream' }, [addr])
    const [connection] = session.connections

    await first.stop()
    await eventually(() => connection?.status !== 'open')
    const second = await createStockNode('tcp', { addresses: { listen: [`${addr}`] } })

    try {
      await expect(session.openStream()).rejects.toMatchObject({ name: 'TransportUnavailableError', message: expect.stringContaining(`no connection to ${first.peerId} on tcp: `) })
      expect(session.connections).toEqual([])
      expect(dialer.getConnections()).toEqual([])
    } finally {
      await second.stop()
    }
  })
})

describe('a connection that is lost as soon as it is there', () => {
  it.each(SITE_TRANSPORTS)('is forgotten over %s, whenever it is lost', async transport => {
    const bulk = startBulkOpener(dialer, async (connection, protocols, options) => connection.newStream(protocols, options))
    const outcomes = new Set<string>()

    // before, while, and after the session takes hold of it
    for (let turns = 0; turns < 60; turns++) {
      const lost = nextEvent(dialer, 'connection:open').then(async ({ detail }) => {
        for (let i = 0; i < turns; i++) {
          await Promise.resolve()
        }

        detail.abort(new Error('Lost'))

        return detail
      })
      const [opening] = await Promise.allSettled([
        bulk.openBulkSession(site.relays[transport].addr, ECHO, { transport, fallback: 'none', dialTimeout: PATIENCE })
      ])

      // the session is still there
      expect(bulk.hasDialled(await lost)).toBe(false)
      outcomes.add(opening.status)
    }

    await bulk.stop()
    expect(outcomes).toEqual(new Set(['rejected', 'fulfilled']))
  })
})

describe('a connection that is being closed, and open until streams are sent', () => {
  const WAYS: Array<[string, () => Promise<() => Promise<BulkStream>>]> = [
    ['openBulkStream', async () => async () => opener.openBulkStream(site.addrs, ECHO, { dialTimeout: PATIENCE })],
    ['openStream of a session', async () => {
      const session = await openSession()

      return async () => session.openStream()
    }]
  ]

  it.each(WAYS)('is left by %s', async (_, opening) => {
    await handleRaw(site.node, '/mute/1.0.0', () => {})
    const connection = await connectIdentified(dialer, site.node, site.relays.tcp.addr)
    const open = await opening()
    const unsent = await opener.newStream(site.node.peerId, '/mute/1.0.0')
    const hangingUp = dialer.hangUp(site.node.peerId)
    const bulks = await Promise.all([open(), open()])

    expect(connection.status).toBe('open')
    expect(bulks.map(bulk => bulk.connection)).not.toContain(connection)
    expect(bulks[0].connection).toBe(bulks[1].connection)
    await Promise.all(bulks.map(async ({ stream }) => works(stream)))

    unsent.abort(new Error('Enough'))
    await hangingUp
  })
})

describe('a session that shares its dial', () => {
  it('leaves the connection to libp2p if it was dialled for a stream of its own as well', async () => {
    for (let i = 0; i < rounds(100); i++) {
      const [first, second, { stream, connection }] = await Promise.all([
        openSession({ transport: 'tcp' }),
        openSession({ transport: 'tcp' }),
        opener.openBulkStream(site.addrs, ECHO, { transport: 'tcp', dialTimeout: PATIENCE })
      ])

      expect(dialer.getConnections()).toEqual([connection])
      expect([first.connections, second.connections]).toEqual([[connection], [connection]])
      expect(await Promise.all([first.close(), second.close()])).toEqual([0, 0])
      await works(stream)
      await connection.close()
    }
  })
})

describe('a session to a peer that advertises what nobody answers on', () => {
  it('falls back, and its streams as well', async () => {
    const silent = await startSilentListener()
    const session = await openSession({ transport: 'tcp', dialTimeout: 2_000 }, [silent.addr.encapsulate(`/p2p/${site.node.peerId}`), site.relays.quic.addr])
    const bulk = await session.openStream()

    expect(bulk).toMatchObject({ transport: 'quic', fellBack: true })
    expect(bulk.reason).toContain('There was no connection within 2000ms')
    await works(bulk.stream)
    await eventually(() => silent.sockets.size === 0)
    expect(await session.close()).toBe(1)
  })
})

describe('the end of a session', () => {
  it('comes with the end of the service even if it was to be graceful', async () => {
    await site.node.handle('/endless/1.0.0', () => {})
    const session = await opener.openBulkSession(site.addrs, '/endless/1.0.0', { transport: 'tcp' })
    const { stream } = await session.openStream()
    const closing = session.close({ signal: new AbortController().signal })

    await stop(opener)
    expect(stream.status).toBe('aborted')
    expect(await closing).toBe(1)
  })

  it('does not end an ordinary stream that is being opened on its connection', async () => {
    const { promise, resolve } = Promise.withResolvers<Stream>()
    await handleRaw(site.node, '/mute/1.0.0', stream => { resolve(stream) })
    const session = await openSession({ transport: 'tcp' })
    const [connection] = session.connections
    const controller = new AbortController()
    const ordinary = opener.newStream(site.node.peerId, '/mute/1.0.0', { signal: controller.signal })
    ordinary.catch(() => {})
    await promise

    expect(await session.close()).toBe(0)
    expect(connection?.status).toBe('open')

    const reason = new Error('Enough')
    controller.abort(reason)
    await expect(ordinary).rejects.toBe(reason)
    await eventually(() => connection?.status === 'closed')
  })

  it('does not end a stream that was opened on its connection with newStreamOn', async () => {
    const session = await openSession({ transport: 'tcp' })
    const connection = session.connections[0] as Connection
    const stream = await opener.newStreamOn(connection, ECHO)

    expect(await session.close()).toBe(0)
    await works(stream)
    await eventually(() => connection.status === 'closed')
  })
})

describe('the end of a session where the streams of the whole node are opened', () => {
  it('does not end one that libp2p has opened on its connection', async () => {
    await withDialer(async (node, opener) => {
      const session = await opener.openBulkSession(site.addrs, ECHO, { transport: 'tcp', dialTimeout: PATIENCE })
      const connection = session.connections[0] as Connection
      const stream = await node.dialProtocol(site.node.peerId, ECHO)

      expect(await session.close()).toBe(0)
      await works(stream)
      await eventually(() => connection.status === 'closed')
    }, { intercept: true })
  })
})

describe('the service', () => {
  it('rejects a stream that is being opened when it stops', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    await handleRaw(site.node, '/mute/1.0.0', () => { resolve() })

    const opening = opener.openBulkStream(site.relays.tcp.addr, '/mute/1.0.0')
    opening.catch(() => {})
    await promise
    await stop(opener)

    await expect(opening).rejects.toMatchObject({ name: 'AbortError' })
    await eventually(() => dialer.getConnections().length === 0)
  })

  it('rejects a session that is being opened when it stops', async () => {
    const silent = await startSilentListener()
    const opening = openSession({ transport: 'tcp' }, [silent.addr])
    opening.catch(() => {})
    await eventually(() => silent.sockets.size === 1)
    await stop(opener)

    await expect(opening).rejects.toMatchObject({ name: 'AbortError', message: 'The stream opener was stopped' })
    await eventually(() => silent.sockets.size === 0)
  })

  it('has one set of connections, also when the first calls come at once', async () => {
    const sessions = await Promise.all([openSession({ transport: 'tcp' }), openSession({ transport: 'tcp' })])

    expect(sessions[0].connections).toEqual(sessions[1].connections)
    expect(await sessions[0].close()).toBe(0)
    expect(await sessions[1].close()).toBe(1)
  })

  it('opens nothing when it is stopped while the code for bulk streams is loaded', async () => {
    const opening = opener.openBulkStream(site.addrs, ECHO)
    opening.catch(() => {})
    await stop(opener)

    await expect(opening).rejects.toMatchObject({ name: expect.stringMatching(/^NotStartedError$|^AbortError$/) })
    expect(dialer.getConnections()).toEqual([])

    await start(opener)
    await works((await opener.openBulkStream(site.addrs, ECHO)).stream)
  })
})
