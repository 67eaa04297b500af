import { identify } from '@libp2p/identify'
import { yamux } from '@libp2p/yamux'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { LISTENER_GUARD_PROTOCOL } from '../src/constants.ts'
import { streamOpener } from '../src/index.ts'
import { connectIdentified, createOpenerNode, createStockNode, addressOf, SOCKET_TRANSPORTS, stopNodes } from './support/nodes.ts'
import { createRelay } from './support/relay.ts'
import { bytes, closed, ECHO, echo, exchange, readAll, replacedMethods } from './support/streams.ts'
import { until } from './support/wait.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Relay } from './support/relay.ts'
import type { Connection, Libp2p, MessageStream, Stream, StreamMuxer, StreamMuxerFactory } from '@libp2p/interface'
import type { MockInstance } from 'vitest'

const UPLOAD = '/upload/1.0.0'

let dialer: Libp2p<OpenerServices>
let listener: Libp2p
let relay: Relay

afterEach(async () => {
  await stopNodes(dialer, listener)
  await relay.close()
})

describe('the FIN of a stream that is closed over QUIC, to a stock listener that does not answer before the end', () => {
  let ended: number

  async function connect (): Promise<Connection> {
    ended = 0
    dialer = await createOpenerNode()
    listener = await createStockNode('quic')
    await listener.handle(UPLOAD, async stream => {
      await readAll(stream)
      ended++
      await stream.close()
    })
    relay = await createRelay(addressOf(listener), { delay: 20 })

    return connectIdentified(dialer, listener, relay.addr)
  }

  async function upload (connection: Connection): Promise<Stream> {
    const stream = await dialer.services.streamOpener.newStreamOn(connection, UPLOAD)
    stream.send(bytes('hello'))
    await stream.close()
    expect(replacedMethods(stream)).toContain('sendCloseWrite')

    return stream
  }

  function probes (connection: Connection): Stream[] {
    return connection.streams.filter(({ direction, protocol }) => direction === 'outbound' && protocol === '')
  }

  it('goes out when the listener has answered a probe, however long that takes', async () => {
    const connection = await connect()
    const streams = await Promise.all(Array.from({ length: 10 }, async () => upload(connection)))

    await until(() => probes(connection).length > 0)
    relay.hold()
    expect(probes(connection)).toHaveLength(1)
    expect(streams.filter(stream => replacedMethods(stream).includes('sendCloseWrite'))).toHaveLength(10)
    expect(ended).toBe(0)

    relay.release()
    await until(() => ended === 10)
    await until(() => connection.streams.every(({ direction }) => direction === 'inbound'))
    expect(streams.flatMap(replacedMethods)).toEqual([])
  })

  it('goes out when the listener does not answer the probe', async () => {
    const connection = await connect()
    const stream = await upload(connection)

    await until(() => probes(connection).length > 0)
    relay.hold()
    probes(connection)[0]?.abort(new Error('Not any more'))
    await until(() => ended === 1)
    relay.release()
    await until(() => replacedMethods(stream).length === 0)
  })

  /**
   * How many streams the dialer asks the muxer for
   */
  function countStreams (connection: Connection): MockInstance {
    return vi.spyOn((connection as unknown as { muxer: StreamMuxer }).muxer, 'createStream')
  }

  it('leaves with the data after the confirmation, as with stock, once answers have turned out to wait for it', async () => {
    const connection = await connect()
    let stream = await upload(connection)

    // while the machine is busy the first round trip may be too long to tell
    for (let i = 0; i < 10 && stream.writeBufferLength === 0; i++) {
      await closed(stream)
      stream = await upload(connection)
    }

    await closed(stream)
    const before = ended
    const created = countStreams(connection)

    for (let i = 1; i <= 10; i++) {
      stream = await upload(connection)
      expect(stream.writeStatus).toBe('closed')
      expect(stream.writeBufferLength).toBe(5)
      await closed(stream)
      expect(ended).toBe(before + i)
    }

    // none of them is a probe
    expect(created.mock.calls).toHaveLength(10)
  })

  it('needs no probe where the answer comes before it', async () => {
    const connection = await connect()
    await listener.handle(ECHO, echo)
    await dialer.services.identify.identify(connection)

    const open = async (): Promise<Stream> => dialer.services.streamOpener.newStreamOn(connection, ECHO)

    expect(await exchange(await open(), bytes('hello'))).toEqual(bytes('hello'))
    const created = countStreams(connection)

    for (let i = 0; i < 10; i++) {
      const stream = await open()
      stream.send(bytes('hello'))
      expect(stream.writeBufferLength).toBe(0)
      await stream.close()
      expect(await readAll(stream)).toEqual(bytes('hello'))
    }

    expect(created.mock.calls).toHaveLength(10)
  })
})

describe('the FIN of a stream that is closed over yamux by another name', () => {
  /**
   * As Peerbit has it
   */
  function renamed (): () => StreamMuxerFactory {
    return () => {
      const protocol = '/another/yamux/1.0.0'
      const factory = yamux()()
      const createStreamMuxer = factory.createStreamMuxer.bind(factory)

      return Object.assign(factory, {
        protocol,
        createStreamMuxer: (maConn: MessageStream) => Object.assign(createStreamMuxer(maConn), { protocol })
      })
    }
  }

  it('goes out with the confirmation, as the muxer keeps order', async () => {
    dialer = await createOpenerNode({}, { streamMuxers: [renamed()] })
    listener = await createStockNode('tcp', { streamMuxers: [renamed()] })
    await listener.handle(UPLOAD, async stream => {
      await readAll(stream)
      await stream.close()
    })
    relay = await createRelay(addressOf(listener))
    const connection = await connectIdentified(dialer, listener, relay.addr)
    expect(connection.multiplexer).toBe('/another/yamux/1.0.0')
    const created = vi.spyOn((connection as unknown as { muxer: StreamMuxer }).muxer, 'createStream')

    for (let i = 0; i < 10; i++) {
      const stream = await dialer.services.streamOpener.newStreamOn(connection, UPLOAD)
      const end = closed(stream)
      stream.send(bytes('hello'))
      await stream.close()
      expect(stream.writeBufferLength).toBe(0)
      await end
    }

    // none of them is a probe
    expect(created.mock.calls).toHaveLength(10)
  })
})

describe.each(SOCKET_TRANSPORTS)('the FIN of a stream that is closed over %s before identify has come', transport => {
  it('goes out as soon as identify names the guard of the listener', async () => {
    const ended = Promise.withResolvers<Uint8Array>()

    dialer = await createOpenerNode({ negotiation: 'always' }, { services: { identify: identify({ runOnConnectionOpen: false }) } })
    listener = await createStockNode(transport, { services: { streamOpener: streamOpener() } })
    await listener.handle(UPLOAD, async stream => { ended.resolve(await readAll(stream)) })
    relay = await createRelay(addressOf(listener))
    const connection = await dialer.dial(relay.addr)

    relay.hold()
    const stream = await dialer.services.streamOpener.newStreamOn(connection, UPLOAD)
    stream.send(bytes('hello'))
    await stream.close()
    expect(replacedMethods(stream)).toContain('sendCloseWrite')

    const { events } = (dialer as unknown as { components: { events: EventTarget } }).components
    events.dispatchEvent(new CustomEvent('peer:identify', {
      detail: { peerId: listener.peerId, connection, protocols: [UPLOAD, LISTENER_GUARD_PROTOCOL], listenAddrs: [] }
    }))

    // nothing has come back
    expect(await ended.promise).toEqual(bytes('hello'))
    relay.release()
  })
})
