import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { tcp } from '@libp2p/tcp'
import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { multiaddr } from '@multiformats/multiaddr'
import { pEvent } from 'p-event'
import { Registry } from 'prom-client'
import { afterEach, describe, expect, it } from 'vitest'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, identified, stopNodes, TRANSPORTS } from './support/nodes.ts'
import { bytes, ECHO, echo, exchange, replacedMethods } from './support/streams.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Connection, Libp2p, Stream, StreamMuxer } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'

/**
 * Every way to open a stream, and libp2p's own
 */
const PATHS = ['optimistic', 'early', 'full', 'stock'] as const

type Path = typeof PATHS[number]

let dialer: Libp2p<OpenerServices>
let listener: Libp2p
let relay: Libp2p | undefined

afterEach(async () => {
  await stopNodes(dialer, listener, relay)
  relay = undefined
})

function registrarOf (node: Libp2p): Registrar {
  return (node as unknown as { components: { registrar: Registrar } }).components.registrar
}

/**
 * Opens a stream on the connection in this way
 */
async function open (path: Path, connection: Connection, protocol: string, options: Parameters<Connection['newStream']>[1] = {}): Promise<Stream> {
  const { streamOpener } = dialer.services

  switch (path) {
    case 'stock':
      return connection.newStream(protocol, options)
    case 'full':
      // the first one is not known
      return streamOpener.newStreamOn(connection, ['/unknown/1.0.0', protocol], options)
    case 'optimistic':
    case 'early':
      return streamOpener.newStreamOn(connection, protocol, options)
    default:
      throw new Error(`Unknown path ${String(path)}`)
  }
}

/**
 * Connects so that the next open of the protocol goes that way
 */
async function connect (path: Path, addr = addressOf(listener)): Promise<Connection> {
  if (path === 'optimistic') {
    return connectIdentified(dialer, listener, addr)
  }

  // an identify message that has no protocols to name
  dialer.services.identify.identify = async () => new Promise(() => {})

  // in-process, stock libp2p loses a FIN to a listener that is still busy with
  // identify, so do the others
  const [connection] = await Promise.all([dialer.dial(addr), identified(listener, dialer)])

  return connection
}

describe.each(TRANSPORTS)('over %s', transport => {
  describe.each(PATHS)('a %s open', path => {
    it('is kept within the limit of the caller', async () => {
      dialer = await createOpenerNode({ queue: false })
      listener = await createStockNode(transport)
      await listener.handle(ECHO, echo)
      const connection = await connect(path)
      const streams: Stream[] = []

      for (let i = 0; i < 3; i++) {
        streams.push(await open(path, connection, ECHO, { maxOutboundStreams: 3 }))
      }

      await expect(open(path, connection, ECHO, { maxOutboundStreams: 3 })).rejects.toThrow(expect.objectContaining({
        name: 'TooManyOutboundProtocolStreamsError',
        message: `Too many outbound protocol streams for protocol "${ECHO}" - 4/3`
      }))
      expect(connection.streams.filter(({ protocol }) => protocol === ECHO)).toHaveLength(3)

      for (const stream of streams) {
        expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
      }
    })

    it('is kept within the limit of a handler, whatever the caller says', async () => {
      dialer = await createOpenerNode({ queue: false })
      listener = await createStockNode(transport)
      await listener.handle(ECHO, echo)
      await dialer.handle(ECHO, echo, { maxOutboundStreams: 1 })
      const connection = await connect(path)

      const stream = await open(path, connection, ECHO, { maxOutboundStreams: 3 })
      await expect(open(path, connection, ECHO, { maxOutboundStreams: 3 })).rejects.toThrow(expect.objectContaining({
        name: 'TooManyOutboundProtocolStreamsError',
        message: `Too many outbound protocol streams for protocol "${ECHO}" - 2/1`
      }))
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    })

    it('runs the middleware of the protocol, in order', async () => {
      dialer = await createOpenerNode()
      listener = await createStockNode(transport)
      await listener.handle(ECHO, echo)
      const connection = await connect(path)
      const calls: string[] = []

      registrarOf(dialer).use(ECHO, [
        (stream, connection, next) => {
          calls.push(`sync ${stream.protocol} ${connection.direction}`)
          next(stream, connection)
        },
        async (stream, connection, next) => {
          await Promise.resolve()
          calls.push('async')
          next(Object.assign(stream, { seen: true }), connection)
        }
      ])

      const stream = await open(path, connection, ECHO)
      expect(calls).toEqual([`sync ${ECHO} outbound`, 'async'])
      expect(stream).toHaveProperty('seen', true)
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    })

    it.each([
      ['throws', () => { throw new Error('Not through me') }],
      ['rejects', async () => Promise.reject(new Error('Not through me'))]
    ])('fails where the middleware %s', async (_, middleware) => {
      dialer = await createOpenerNode()
      listener = await createStockNode(transport)
      await listener.handle(ECHO, echo)
      const connection = await connect(path)
      registrarOf(dialer).use(ECHO, [middleware])

      await expect(open(path, connection, ECHO)).rejects.toThrow('Not through me')
      expect(connection.streams.filter(({ protocol }) => protocol === ECHO)).toEqual([])
    })

    it('is tracked by the metrics, which count the data and nothing else', async () => {
      const registry = new Registry()
      dialer = await createOpenerNode({}, { metrics: prometheusMetrics({ registry, collectDefaultMetrics: false }) })
      listener = await createStockNode(transport)
      await listener.handle(ECHO, echo)
      const connection = await connect(path)

      const stream = await open(path, connection, ECHO)
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))

      const metric = await registry.getSingleMetric('libp2p_data_transfer_bytes_total')?.get()
      const counts = Object.fromEntries(metric?.values.map(({ labels, value }) => [labels.protocol, value]) ?? [])
      expect(counts).toMatchObject({ [`${ECHO} sent`]: 5, [`${ECHO} received`]: 5 })
    })

    it('reports its progress', async () => {
      dialer = await createOpenerNode()
      listener = await createStockNode(transport)
      await listener.handle(ECHO, echo)
      const connection = await connect(path)
      const events: any[] = []

      const stream = await open(path, connection, ECHO, { onProgress: evt => { events.push(evt) } })
      const opened = events.filter(({ type }) => type === 'connection:opened-stream')
      const opening = events.filter(({ type }) => type === 'connection:open-stream')

      expect(events.at(-2)).toHaveProperty('type', 'connection:open-stream')
      expect(events.at(-3)?.type).toBe(path === 'stock' ? undefined : `stream-opener:${path}`)
      expect(opening.at(-1).detail.connection === connection).toBe(true)
      expect(opening.at(-1).detail.protocols).toContain(ECHO)
      expect(opened).toHaveLength(1)
      expect(opened[0].detail.stream === stream).toBe(true)
    })

    it('is refused by a connection that is closed', async () => {
      dialer = await createOpenerNode()
      listener = await createStockNode(transport)
      await listener.handle(ECHO, echo)
      const connection = await connect(path)
      await connection.close()

      await expect(open(path, connection, ECHO)).rejects.toThrow(expect.objectContaining({ name: 'ConnectionClosedError' }))
    })
  })

  it('reports the progress of dialling as dialProtocol does', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)

    const [stock = [], ours = []] = await Promise.all((['dialProtocol', 'newStream'] as const).map(async how => {
      const node = await createOpenerNode()
      const events: string[] = []

      for (let i = 0; i < 2; i++) {
        const options = { onProgress: (evt: { type: string }) => { events.push(evt.type) } }
        const stream = how === 'newStream' ? await node.services.streamOpener.newStream(addressOf(listener), ECHO, options) : await node.dialProtocol(addressOf(listener), ECHO, options)
        expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
      }

      await node.stop()

      return events
    }))

    expect(ours.filter(type => !type.startsWith('stream-opener:'))).toEqual(stock)
    expect(ours.filter(type => type.startsWith('stream-opener:'))).toHaveLength(2)
  })

  it('has libp2p open streams on a muxer that can not be reached', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    const connection = await connectIdentified(dialer, listener)

    // as it would look if libp2p made it private
    const hidden = Object.create(connection, { muxer: { value: undefined } })
    const stream = await dialer.services.streamOpener.newStreamOn(hidden, ECHO)
    expect(replacedMethods(stream)).toEqual([])
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('has libp2p open streams of a muxer that can not carry a handshake, after it has tried once', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    const connection = await connectIdentified(dialer, listener)
    const { muxer } = connection as unknown as { muxer: StreamMuxer }
    const createStream = muxer.createStream.bind(muxer)
    let created = 0
    muxer.createStream = async options => {
      created++
      const stream = await createStream(options)
      Object.defineProperty(stream, 'onTransportClosed', { value: undefined, configurable: true })

      return stream
    }

    for (let i = 0; i < 3; i++) {
      const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO)
      delete (stream as any).onTransportClosed
      expect(replacedMethods(stream)).toEqual([])
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    }

    expect(created).toBe(4)
  })

  it('does not negotiate a stream that the muxer has negotiated', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    const connection = await connectIdentified(dialer, listener)
    const { muxer } = connection as unknown as { muxer: StreamMuxer }
    const createStream = muxer.createStream.bind(muxer)
    muxer.createStream = async options => Object.assign(await createStream(options), { protocol: options?.protocol })

    const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO)
    expect(stream.protocol).toBe(ECHO)
    expect(replacedMethods(stream)).toEqual([])
    stream.abort(new Error('The listener has not negotiated it'))
  })
})

describe('a relayed connection', () => {
  it.each(['optimistic', 'stock'] as const)('is only used by %s opens that allow that it is limited', async path => {
    relay = await createStockNode('tcp', { services: { relay: circuitRelayServer() } })
    listener = await createStockNode(undefined, {
      addresses: { listen: [`${addressOf(relay)}/p2p-circuit`] },
      transports: [tcp(), circuitRelayTransport()]
    })
    dialer = await createOpenerNode({}, { transports: [tcp(), circuitRelayTransport()] })
    await listener.handle(ECHO, echo, { runOnLimitedConnection: true })

    while (listener.getMultiaddrs().length === 0) {
      await pEvent(listener as any, 'self:peer:update')
    }

    const done = identified(dialer, listener)
    const connection = await dialer.dial(multiaddr(`${addressOf(relay)}/p2p-circuit/p2p/${listener.peerId}`))
    await done
    expect(connection.limits).toEqual(expect.any(Object))

    await expect(open(path, connection, ECHO)).rejects.toThrow(expect.objectContaining({ name: 'LimitedConnectionError' }))

    const stream = await open(path, connection, ECHO, { runOnLimitedConnection: true })
    expect(replacedMethods(stream).length > 0).toBe(path === 'optimistic')
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })
})
