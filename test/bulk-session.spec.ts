import { stop } from '@libp2p/interface'
import { beforeEach, describe, expect, it } from 'vitest'
import { transportOf } from '../src/index.ts'
import { rounds } from './support/rounds.ts'
import { startBulkNodes, works } from './support/bulk-nodes.ts'
import { nextEvent } from './support/next-event.ts'
import { connectIdentified } from './support/nodes.ts'
import { handleRaw } from './support/raw-listener.ts'
import { cut, eventually, SITE_TRANSPORTS } from './support/site.ts'
import { areReplaced, closed, ECHO, exchange, pattern, readAll, sendAll } from './support/streams.ts'
import type { BulkSession, BulkStream, StreamOpener } from '../src/index.ts'
import type { BulkNodes } from './support/bulk-nodes.ts'
import type { NodeInit, OpenerServices } from './support/nodes.ts'
import type { Site, SiteTransport } from './support/site.ts'
import type { AbortOptions, Connection, Libp2p, Stream } from '@libp2p/interface'

const SIZE = 256 * 1024
const data = pattern(SIZE)

let site: Site
let dialer: Libp2p<OpenerServices>
let opener: StreamOpener
let openSession: BulkNodes['openSession']

async function start (init: NodeInit = {}): Promise<void> {
  ({ site, dialer, opener, openSession } = await startBulkNodes(init))
}

async function openMany (session: BulkSession, count: number): Promise<BulkStream[]> {
  return Promise.all(Array.from({ length: count }, async () => session.openStream()))
}

/**
 * Opens ten streams, while the peer is dialled as libp2p does and ordinary streams are
 * opened, and sends the data over the last one. The carriers are the transports whose
 * relays have passed on that much since then.
 */
async function useTenthStream (session: BulkSession): Promise<{ tenth: BulkStream, carriers: SiteTransport[] }> {
  const others: Array<Promise<unknown>> = []

  for (let i = 1; i < 10; i++) {
    others.push(dialer.dial(site.addrs, { force: true }), opener.newStream(site.addrs, ECHO).then(works))
    await session.openStream()
  }

  await Promise.all(others)

  const sent = SITE_TRANSPORTS.map(name => site.relays[name].bytesUp)
  const dialled = site.relays[session.transport === 'tcp' ? 'quic' : 'tcp']
  const before = dialled.bytesUp

  // this dial is under way until the relay lets the answers through
  dialled.hold()
  const dialling = dialer.dial(dialled.addr, { force: true })
  dialling.catch(() => {})
  await eventually(() => dialled.bytesUp > before)

  const tenth = await session.openStream()
  expect(await exchange(tenth.stream, data)).toEqual(data)

  dialled.release()
  await works(await opener.newStream(site.addrs, ECHO))

  // on a busy machine libp2p may have given it up by now
  await Promise.allSettled([dialling])

  return { tenth, carriers: SITE_TRANSPORTS.filter((name, i) => site.relays[name].bytesUp - (sent[i] ?? 0) > SIZE) }
}

function connectionsOf (streams: BulkStream[]): Set<Connection> {
  return new Set(streams.map(({ connection }) => connection))
}

describe('a session on one connection', () => {
  beforeEach(async () => start())

  it.each(SITE_TRANSPORTS)('carries the bytes of its tenth stream over %s, whatever else is dialled and opened', async transport => {
    const session = await openSession({ transport })
    const { tenth, carriers } = await useTenthStream(session)

    expect(carriers).toEqual([transport])
    expect(session.transport).toBe(transport)
    expect(session.connections).toEqual([tenth.connection])
    expect(session.streams).toHaveLength(9)
    expect(tenth).toMatchObject({ transport, fellBack: false, reason: undefined })

    expect(await session.close()).toBe(1)
  })

  it('leaves ordinary streams on the connection that they used before', async () => {
    const ordinary = await connectIdentified(dialer, site.node, site.relays.tcp.addr)
    const session = await openSession({ transport: 'quic' })
    const peer = site.node.peerId

    expect(session.connections).not.toContain(ordinary)

    const streams = await Promise.all([
      opener.newStream(peer, ECHO),
      opener.newStream(peer, ECHO, { onProgress: () => {} }),
      opener.newStream(site.addrs, ECHO),
      opener.newStream(site.relays.quic.addr, ECHO)
    ])

    expect(ordinary.streams.filter(({ protocol }) => protocol === ECHO)).toHaveLength(streams.length)
    expect(await session.close()).toBe(1)
    await Promise.all(streams.map(works))
  })

  it('closes its connection when an ordinary stream that had no other has ended', async () => {
    const session = await openSession({ transport: 'quic' })
    const [connection] = session.connections
    const ordinary = await opener.newStream(site.node.peerId, ECHO)
    const bulk = await opener.openBulkStream(site.node.peerId, ECHO, { transport: 'quic' })

    expect(bulk.connection).toBe(connection)
    expect(await session.close()).toBe(0)

    await works(ordinary)
    expect(connection?.status).toBe('open')
    await works(bulk.stream)
    await eventually(() => connection?.status === 'closed')
  })

  it('uses a connection that is there already, and leaves it open', async () => {
    const connection = await dialer.dial(site.relays.tcp.addr)
    const session = await openSession({ transport: 'tcp' })

    await works((await session.openStream()).stream)
    expect(session.connections).toEqual([connection])
    expect(await session.close()).toBe(0)
    expect(connection.status).toBe('open')
  })

  it('shares a dial with another session, and the last one closes the connection', async () => {
    const [first, second] = await Promise.all([openSession({ transport: 'quic' }), openSession({ transport: 'quic' })])

    expect(first.connections).toEqual(second.connections)
    expect(await first.close()).toBe(0)
    await works((await second.openStream()).stream)
    expect(await second.close()).toBe(1)
  })

  it.each(SITE_TRANSPORTS)('dials %s again when the connection is lost', async transport => {
    const session = await openSession({ transport })
    const before = await session.openStream()
    const others = await openMany(session, 4)
    const [inbound] = site.node.getConnections()
    const lost = [before, ...others].map(async ({ stream }) => closed(stream))

    cut(inbound as Connection)
    await Promise.all(lost)
    await eventually(() => session.connections.length === 0)
    expect(session.streams).toEqual([])

    const streams = await openMany(session, 10)

    expect(connectionsOf(streams).size).toBe(1)
    expect(streams[0]).toMatchObject({ transport, fellBack: false })
    expect(streams[0]?.connection).not.toBe(before.connection)
    await Promise.all(streams.map(async ({ stream }) => works(stream)))
    expect(await session.close()).toBe(1)
  })

  it('falls back when the transport has gone, and comes back', async () => {
    const session = await openSession({ transport: 'tcp' })
    const [connection] = session.connections

    await site.relays.tcp.close()
    await eventually(() => connection?.status !== 'open')

    const streams = await openMany(session, 3)
    expect(connectionsOf(streams).size).toBe(1)

    for (const bulk of streams) {
      expect(bulk.fellBack).toBe(true)
      expect(bulk.reason).toContain('ECONNREFUSED')
      expect(bulk.transport).not.toBe('tcp')
      expect(bulk.transport).toBe(transportOf(bulk.connection))
    }

    expect(session.transport).toBe(streams[0]?.transport)
    expect(await session.close()).toBe(1)
  })

  it('stays on the transport that it has got, if any will do', async () => {
    const session = await openSession({}, [site.relays.quic.addr])
    expect(session.transport).toBe('quic')

    const connection = await dialer.dial(site.relays.tcp.addr, { force: true })
    await session.connections[0]?.close()

    const bulk = await session.openStream()
    expect(bulk).toMatchObject({ transport: 'quic', fellBack: false })
    expect(bulk.connection).not.toBe(connection)
  })

  it('gives nothing when the transport has gone and nothing else will do', async () => {
    const session = await openSession({ transport: 'tcp', fallback: 'none' })
    const [connection] = session.connections

    await site.relays.tcp.close()
    await eventually(() => connection?.status !== 'open')

    await expect(session.openStream()).rejects.toMatchObject({ name: 'TransportUnavailableError' })
    await expect(session.openStream()).rejects.toMatchObject({ name: 'TransportUnavailableError' })
    expect(await session.close()).toBe(0)
  })

  it('forgets what libp2p closes', async () => {
    const session = await openSession({ transport: 'ws' })
    await dialer.hangUp(site.node.peerId)

    expect(session.connections).toEqual([])
    expect(await session.close()).toBe(0)
  })

  it('says how its first connection came about', async () => {
    const session = await openSession({ transport: 'quic' }, [site.relays.tcp.addr])

    expect(session.transport).toBe('tcp')

    for (const bulk of await openMany(session, 2)) {
      expect(bulk).toMatchObject({ transport: 'tcp', fellBack: true })
      expect(bulk.reason).toContain('no quic address of the peer is known')
    }
  })

  it('rejects, and leaves nothing behind, if it is aborted while it is opened', async () => {
    const controller = new AbortController()
    const reason = new Error('Not any more')
    site.relays.tcp.hold()

    const opening = openSession({ transport: 'tcp', signal: controller.signal })
    opening.catch(() => {})
    await eventually(() => site.relays.tcp.bytesUp > 0)
    controller.abort(reason)

    await expect(opening).rejects.toBe(reason)
    site.relays.tcp.release()
    await eventually(() => site.relays.tcp.sockets === 0)
    expect(dialer.getConnections()).toEqual([])
  })

  it('is not ended by the signal that it was opened with', async () => {
    const controller = new AbortController()
    const session = await openSession({ signal: controller.signal })

    controller.abort()
    await works((await session.openStream()).stream)
  })

  it('opens streams of a higher priority first, as any others', async () => {
    const session = await openSession({ maxOutboundStreams: 1 })
    const first = await session.openStream()
    const order: string[] = []
    const low = session.openStream({ priority: 1 }).then(bulk => { order.push('low'); return bulk })
    const high = session.openStream({ priority: 99 }).then(bulk => { order.push('high'); return bulk })

    await works(first.stream)
    await works((await high).stream)
    await works((await low).stream)
    expect(order).toEqual(['high', 'low'])
  })

  it('rejects a stream whose signal aborts, and goes on', async () => {
    const controller = new AbortController()
    const reason = new Error('Not this one')
    const { promise, resolve } = Promise.withResolvers<void>()
    await handleRaw(site.node, '/mute/1.0.0', () => { resolve() })

    const session = await opener.openBulkSession(site.addrs, ['/mute/1.0.0'], { transport: 'tcp' })
    const opening = session.openStream({ signal: controller.signal })
    opening.catch(() => {})
    await promise
    controller.abort(reason)

    await expect(opening).rejects.toBe(reason)
    expect(session.connections).toHaveLength(1)
    expect(session.streams).toEqual([])
    expect(await session.close()).toBe(1)
  })
})

describe('the bytes of a session', () => {
  beforeEach(async () => start())

  it.each(SITE_TRANSPORTS)('are counted for each stream and in all over %s', async transport => {
    await connectIdentified(dialer, site.node, site.relays[transport].addr)
    const session = await openSession({ transport })

    // the first one is confirmed, all others are optimistic
    for (let i = 1; i <= 3; i++) {
      const { stream } = await session.openStream()
      const counted = session.streams.find(counted => counted.stream === stream)

      expect(counted).toMatchObject({ bytesSent: 0, bytesReceived: 0 })
      await sendAll(stream, data)
      expect(counted?.bytesSent).toBe(SIZE)

      const answer = readAll(stream)
      await stream.close()
      await answer
      await eventually(() => stream.status === 'closed')

      expect(counted).toMatchObject({ bytesSent: SIZE, bytesReceived: SIZE })
      expect(session).toMatchObject({ bytesSent: i * SIZE, bytesReceived: i * SIZE, streams: [] })
      expect(areReplaced(stream, ['dispatchEvent', 'push', 'unshift'])).toEqual([])
    }
  })

  it('do not flow because they are counted, and come in as if they were not', async () => {
    await connectIdentified(dialer, site.node, site.relays.tcp.addr)
    const session = await openSession({ transport: 'tcp' })
    await works((await session.openStream()).stream)
    const { stream } = await session.openStream()

    stream.send(Uint8Array.of(1, 2, 3))
    await eventually(() => stream.readBufferLength === 3)
    expect(session).toMatchObject({ bytesSent: 6, bytesReceived: 3 })
    expect(areReplaced(stream, ['onData', 'onRemoteCloseWrite', 'dispatchEvent'])).toEqual([])
  })

  it('are not known of a stream that a middleware has made into no EventTarget, which works', async () => {
    dialer.use(ECHO, (stream, connection, next) => {
      const made = new Proxy({}, {
        get: (_, name) => {
          const value = Reflect.get(stream, name, stream)

          return typeof value === 'function' ? value.bind(stream) : value
        }
      })

      next(made as Stream, connection)
    })

    const session = await openSession({ transport: 'tcp' })
    await works((await session.openStream()).stream)
    expect(session).toMatchObject({ bytesReceived: 0, streams: [] })
  })

  it('are those that were read, also after the end', async () => {
    const session = await openSession({ transport: 'tcp' })
    const { stream } = await session.openStream()
    const [counted] = session.streams

    stream.send(Uint8Array.of(1, 2, 3))
    await eventually(() => stream.readBufferLength === 3)

    const message = nextEvent(stream, 'message')
    expect((await message).data.byteLength).toBe(3)
    expect(counted?.bytesReceived).toBe(3)

    // what a reader gives back is read once more
    stream.unshift(Uint8Array.of(3))
    expect(counted?.bytesReceived).toBe(2)
    expect((await nextEvent(stream, 'message')).data.byteLength).toBe(1)
    expect(counted?.bytesReceived).toBe(3)
  })
})

describe('a session with a connection per stream', () => {
  it.each(SITE_TRANSPORTS)('has as many as it may over %s, and then goes where the fewest streams are', async transport => {
    await start()
    const session = await openSession({ transport, connections: 'per-stream', maxConnections: 3 })
    const streams = await openMany(session, 7)
    const used = [...connectionsOf(streams)]

    expect(used).toHaveLength(3)
    expect(used.map(connection => streams.filter(bulk => bulk.connection === connection).length).sort()).toEqual([2, 2, 3])
    expect(new Set(session.connections)).toEqual(new Set(used))
    expect(used.map(transportOf)).toEqual([transport, transport, transport])

    const quiet = streams.filter(bulk => bulk.connection === used[1])
    await Promise.all(quiet.map(async ({ stream }) => works(stream)))
    expect((await session.openStream()).connection).toBe(used[1])

    expect(await session.close()).toBe(3)
    await eventually(() => site.node.getConnections().length === 0)
  })

  it.each(SITE_TRANSPORTS)('carries the bytes of its tenth stream over %s, whatever else is dialled and opened', async transport => {
    await start()
    const session = await openSession({ transport, connections: 'per-stream' })
    const { tenth, carriers } = await useTenthStream(session)

    expect(carriers).toEqual([transport])
    expect(session.connections.map(transportOf)).toEqual(Array(4).fill(transport))
    expect(session.connections).toContain(tenth.connection)
    expect(session.streams).toHaveLength(9)
    expect(tenth).toMatchObject({ transport, fellBack: false, reason: undefined })

    expect(await session.close()).toBe(4)
  })

  it.each(SITE_TRANSPORTS)('is not refused by a stock listener over %s, even if others dial as well', async transport => {
    await start({ connectionManager: { inboundConnectionThreshold: 5 } })

    const ordinary = await dialer.dial(site.relays[transport].addr)
    await dialer.dial(site.relays[transport].addr, { force: true })
    await dialer.dial(site.relays[transport].addr, { force: true })

    const session = await openSession({ transport, connections: 'per-stream', maxConnections: 8 })
    const streams = await openMany(session, 8)

    expect(connectionsOf(streams).size).toBe(8)
    expect(connectionsOf(streams)).not.toContain(ordinary)
    expect(streams.map(({ reason }) => reason)).toEqual(Array(8).fill(undefined))

    await Promise.all(streams.map(async ({ stream }) => works(stream)))
    expect(await session.close()).toBe(8)
    expect(ordinary.status).toBe('open')
  })

  it.each(SITE_TRANSPORTS)('goes on with fewer over %s when the peer takes no more, and says so', async transport => {
    let accepted = 0
    await start({ connectionGater: { denyInboundConnection: () => ++accepted > 2 } })

    const session = await openSession({ transport, connections: 'per-stream' })
    const streams = await openMany(session, 4)

    expect(connectionsOf(streams).size).toBe(2)
    expect(streams.filter(({ fellBack }) => fellBack)).toEqual([])
    expect(streams.some(({ reason }) => /^The session goes on with 2 of 4 connections: /.test(reason ?? ''))).toBe(true)
    await Promise.all(streams.map(async ({ stream }) => works(stream)))

    const attempts = accepted
    await openMany(session, 4)
    expect(accepted).toBe(attempts)

    expect(await session.close()).toBe(2)
    await eventually(() => site.node.getConnections().length === 0)
  })

  it('shares the one that is there if none can be dialled', async () => {
    let accepted = 0
    await start({ connectionGater: { denyInboundConnection: () => ++accepted > 1 } })

    const ordinary = await dialer.dial(site.relays.tcp.addr)
    const session = await openSession({ transport: 'tcp', connections: 'per-stream', fallback: 'none', maxConnections: 2 })
    const [bulk] = await openMany(session, 2)

    expect(bulk).toMatchObject({ connection: ordinary, transport: 'tcp', fellBack: false })
    expect(bulk?.reason).toContain('No connection could be dialled just for this: ')
    expect(await session.close()).toBe(0)
    expect(ordinary.status).toBe('open')
  })

  it('replaces what is lost', async () => {
    await start()
    const session = await openSession({ transport: 'tcp', connections: 'per-stream', maxConnections: 3 })
    const streams = await openMany(session, 3)
    const [first, ...others] = streams

    const lost = closed(first?.stream as Stream)
    first?.connection.abort(new Error('Gone'))
    await lost
    expect(session.connections).toHaveLength(2)

    const replacement = await session.openStream()
    expect(replacement).toMatchObject({ transport: 'tcp', fellBack: false })
    expect(connectionsOf([replacement, ...others]).size).toBe(3)
    await Promise.all([replacement, ...others].map(async ({ stream }) => works(stream)))

    session.connections.forEach(connection => { connection.abort(new Error('All gone')) })
    expect(session.connections).toEqual([])
    expect(connectionsOf(await openMany(session, 3)).size).toBe(3)
    expect(await session.close()).toBe(3)
  })
})

describe('the end of a session', () => {
  beforeEach(async () => start())

  it('lets streams end gracefully', async () => {
    const received = Promise.withResolvers<number>()
    await site.node.handle('/sink/1.0.0', async stream => { received.resolve((await readAll(stream)).byteLength); await stream.close() })

    const session = await opener.openBulkSession(site.addrs, '/sink/1.0.0', { transport: 'tcp' })
    const { stream } = await session.openStream()
    await sendAll(stream, data)

    expect(await session.close()).toBe(1)
    expect(await received.promise).toBe(SIZE)
    expect(stream.status).toBe('closed')
    expect(dialer.getConnections()).toEqual([])
  })

  it('resets streams whose peer does not end them when the signal aborts', async () => {
    await site.node.handle('/endless/1.0.0', () => {})

    const session = await opener.openBulkSession(site.addrs, '/endless/1.0.0', { transport: 'tcp' })
    const { stream } = await session.openStream()

    expect(await session.close({ signal: AbortSignal.timeout(50) })).toBe(1)
    expect(stream.status).toBe('aborted')
    expect(dialer.getConnections()).toEqual([])
    await eventually(() => site.relays.tcp.sockets === 0)
  })

  it.each<[string, AbortOptions]>([
    ['the signal of a later call aborts', { signal: AbortSignal.abort() }],
    ['the time of a later call without a signal is over', {}]
  ])('resets streams whose peer does not end them when %s', async (_, options) => {
    await site.node.handle('/endless/1.0.0', () => {})

    const session = await opener.openBulkSession(site.addrs, '/endless/1.0.0', { transport: 'tcp' })
    const { stream } = await session.openStream()
    const closing = session.close({ signal: new AbortController().signal })

    expect(await session.close(options)).toBe(1)
    expect(await closing).toBe(1)
    expect(stream.status).toBe('aborted')
  })

  it('is there only once', async () => {
    const session = await openSession()
    const [first, second] = await Promise.all([session.close(), session.close()])

    expect([first, second, await session.close()]).toEqual([1, 1, 1])
    await expect(session.openStream()).rejects.toMatchObject({ name: 'ConnectionClosedError', message: 'The bulk session is closed' })
  })

  it('ends streams that are still being opened', async () => {
    const session = await openSession({ transport: 'tcp' })
    session.connections.forEach(connection => { connection.abort(new Error('Gone')) })
    site.relays.tcp.hold()

    const before = site.relays.tcp.bytesUp
    const opening = session.openStream()
    opening.catch(() => {})
    await eventually(() => site.relays.tcp.bytesUp > before)

    expect(await session.close()).toBe(0)
    await expect(opening).rejects.toMatchObject({ name: 'AbortError', message: 'The bulk session was closed' })
    site.relays.tcp.release()
    await eventually(() => site.relays.tcp.sockets === 0)
  })

  it('comes with the end of the service', async () => {
    const sessions = [await openSession({ transport: 'tcp' }), await openSession({ transport: 'quic', connections: 'per-stream' })]
    const streams = await Promise.all(sessions.flatMap(session => [session.openStream(), session.openStream()]))

    await stop(opener)
    expect(dialer.getConnections()).toEqual([])
    expect(streams.map(({ stream }) => stream.status)).not.toContain('open')
    await expect(sessions[0]?.openStream()).rejects.toMatchObject({ name: 'ConnectionClosedError' })
    await expect(openSession()).rejects.toMatchObject({ name: 'NotStartedError' })
  })

  it('leaves nothing behind, again and again', async () => {
    for (let i = 0; i < rounds(200); i++) {
      const transport = SITE_TRANSPORTS[i % 3] as SiteTransport
      const session = await openSession({ transport })
      const streams = await openMany(session, 3)

      await works(streams[i % 3]?.stream as Stream)

      // at any time
      const closing = i % 2 === 0 ? session.close() : session.close({ signal: AbortSignal.abort() })
      expect(await closing).toBe(1)
      expect(dialer.getConnections()).toEqual([])
    }

    await eventually(() => site.relays.tcp.sockets + site.relays.ws.sockets === 0)
    await eventually(() => site.node.getConnections().length === 0)
  }, 240_000)
})
