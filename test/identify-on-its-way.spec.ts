import { identify } from '@libp2p/identify'
import { afterEach, describe, expect, it } from 'vitest'
import { addressOf, createOpenerNode, createStockNode, identified, SOCKET_TRANSPORTS, stopNodes, TRANSPORTS } from './support/nodes.ts'
import { handleRaw, message } from './support/raw-listener.ts'
import { createRelay } from './support/relay.ts'
import { rounds } from './support/rounds.ts'
import { bytes, ECHO, echo, exchange, readAll } from './support/streams.ts'
import { turn } from './support/wait.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Relay } from './support/relay.ts'
import type { Libp2p, Stream, StreamMuxer } from '@libp2p/interface'

const IDENTIFY = '/ipfs/id/1.0.0'
const SINK = '/sink/1.0.0'

let dialer: Libp2p<OpenerServices>
let listener: Libp2p
let relay: Relay | undefined

afterEach(async () => {
  relay?.release()
  await stopNodes(dialer, listener)
  await relay?.close()
  relay = undefined
})

/**
 * A node whose identify service runs when it is told to
 */
async function createPatientNode (): Promise<Libp2p<OpenerServices>> {
  return createOpenerNode({}, { services: { identify: identify({ runOnConnectionOpen: false }) } })
}

/**
 * Tells the node what an identify message of the listener would
 */
function announce (protocols: string[]): void {
  const [connection] = dialer.getConnections(listener.peerId)
  const { events } = (dialer as unknown as { components: { events: EventTarget } }).components

  events.dispatchEvent(new CustomEvent('peer:identify', {
    detail: { peerId: listener.peerId, connection, protocols, listenAddrs: [] }
  }))
}

describe.each(SOCKET_TRANSPORTS)('before identify, through a relay over %s', transport => {
  it('sends the handshake of a single protocol at once, and returns when identify names it while the echo is held', async () => {
    dialer = await createPatientNode()
    listener = await createStockNode(transport)
    const opened = Promise.withResolvers<void>()

    await listener.handle(ECHO, async stream => {
      opened.resolve()
      await echo(stream)
    })

    relay = await createRelay(addressOf(listener))
    await dialer.dial(relay.addr)
    relay.hold()

    const opening = dialer.services.streamOpener.newStream(listener.peerId, ECHO)

    // the handshake has arrived although nothing came back
    await opened.promise

    announce([ECHO])
    const stream = await opening

    relay.release()
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('lets a connection close when the echo has come and what was held is sent, though nobody answers it', async () => {
    dialer = await createPatientNode()
    listener = await createStockNode(transport)
    const opened = Promise.withResolvers<void>()
    const received = Promise.withResolvers<Uint8Array>()

    await listener.handle(SINK, stream => {
      opened.resolve()
      stream.addEventListener('message', ({ data }) => { received.resolve(data.subarray()) })
    })

    relay = await createRelay(addressOf(listener))
    const connection = await dialer.dial(relay.addr)
    relay.hold()

    const opening = dialer.services.streamOpener.newStream(listener.peerId, SINK)
    await opened.promise
    announce([SINK])
    const stream = await opening
    stream.send(bytes('hello'))

    const signal = AbortSignal.timeout(10_000)
    const closing = connection.close({ signal })
    relay.release()
    await closing
    expect(signal.aborted).toBe(false)
    expect(await received.promise).toEqual(bytes('hello'))
  })

  it('returns when identify has named the protocol while the stream was being created', async () => {
    dialer = await createPatientNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)

    relay = await createRelay(addressOf(listener))
    const connection = await dialer.dial(relay.addr)
    const { muxer } = connection as unknown as { muxer: StreamMuxer }
    const createStream = muxer.createStream.bind(muxer)
    muxer.createStream = async options => {
      const stream = await createStream(options)
      announce([ECHO])

      return stream
    }
    relay.hold()

    const stream = await dialer.services.streamOpener.newStream(listener.peerId, ECHO)
    relay.release()
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('of several protocols takes the first one that identify names, if the full negotiation is held', async () => {
    dialer = await createPatientNode()
    listener = await createStockNode(transport)
    await listener.handle(['/b/1.0.0', '/c/1.0.0'], echo)

    relay = await createRelay(addressOf(listener))
    await dialer.dial(relay.addr)
    relay.hold()

    const opening = dialer.services.streamOpener.newStream(listener.peerId, ['/a/1.0.0', '/c/1.0.0', '/b/1.0.0'])
    await untilStream('/a/1.0.0')
    announce(['/b/1.0.0', '/c/1.0.0'])

    const stream = await opening
    expect(stream.protocol).toBe('/c/1.0.0')

    relay.release()
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))

    // the stream that asked for /a is gone
    expect(dialer.getConnections(listener.peerId).flatMap(connection => connection.streams.map(({ protocol }) => protocol))).not.toContain('/a/1.0.0')
  })

  it('of several protocols keeps the stream that was begun if identify names the first one', async () => {
    dialer = await createPatientNode()
    listener = await createStockNode(transport)
    const streams: Stream[] = []

    await listener.handle(['/a/1.0.0', '/b/1.0.0'], async stream => {
      streams.push(stream)
      await echo(stream)
    })

    relay = await createRelay(addressOf(listener))
    await dialer.dial(relay.addr)
    relay.hold()

    const opening = dialer.services.streamOpener.newStream(listener.peerId, ['/a/1.0.0', '/b/1.0.0'])
    await untilStream('/a/1.0.0')
    announce(['/b/1.0.0', '/a/1.0.0'])

    const stream = await opening
    relay.release()
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    expect(streams.map(({ protocol }) => protocol)).toEqual(['/a/1.0.0'])
  })
})

describe.each(TRANSPORTS)('without identify over %s', transport => {
  it('opens as soon as the peer confirms, where the dialer never runs identify', async () => {
    dialer = await createPatientNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    await listener.handle('/other/1.0.0', echo)

    // the listener's own identify competes with its streams for the peer store: in
    // the same process handlers may then miss the end of a stream, dialProtocol's too
    await Promise.all([dialer.dial(addressOf(listener)), identified(listener, dialer)])

    for (const protocols of [ECHO, ['/missing/1.0.0', '/other/1.0.0'], ['/missing/1.0.0', '/other/1.0.0', ECHO]]) {
      const stream = await dialer.services.streamOpener.newStream(addressOf(listener), protocols)
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    }

    for (const protocols of ['/missing/1.0.0', ['/missing/1.0.0'], ['/missing/1.0.0', '/neither/1.0.0']]) {
      await expect(dialer.services.streamOpener.newStream(addressOf(listener), protocols)).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
    }
  })

  it('opens as soon as the peer confirms, where identify fails', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    const asked = Promise.withResolvers<void>()
    await listener.unhandle(IDENTIFY)
    await handleRaw(listener, IDENTIFY, stream => {
      stream.abort(new Error('I would rather not say'))
      asked.resolve()
    })
    await listener.handle(ECHO, echo)

    // the listener's own identify competes with its streams for the peer store
    await Promise.all([dialer.dial(addressOf(listener)), identified(listener, dialer), asked.promise])

    for (const protocols of [ECHO, ['/missing/1.0.0', ECHO]]) {
      const stream = await dialer.services.streamOpener.newStream(listener.peerId, protocols)
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    }
  })

  it('opens as soon as the peer confirms, where identify never ends', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    const asked = Promise.withResolvers<void>()
    await listener.unhandle(IDENTIFY)
    await listener.handle(IDENTIFY, () => { asked.resolve() })
    await listener.handle(ECHO, echo)

    // the listener's own identify competes with its streams for the peer store
    await Promise.all([dialer.dial(addressOf(listener)), identified(listener, dialer), asked.promise])

    for (const protocols of [ECHO, ['/missing/1.0.0', ECHO]]) {
      const stream = await dialer.services.streamOpener.newStream(listener.peerId, protocols)
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    }
  })
})

describe.each(TRANSPORTS)('the first stream straight after the dial over %s', transport => {
  it.each([
    ['one protocol', ECHO],
    ['several protocols, the first of them spoken', [ECHO, '/missing/1.0.0']],
    ['several protocols, the last of them spoken', ['/missing/1.0.0', '/neither/1.0.0', ECHO]]
  ])('works for %s, again and again', async (_, protocols) => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)

    for (let i = 0; i < rounds(100); i++) {
      const stream = await dialer.services.streamOpener.newStream(addressOf(listener), protocols)
      expect(stream.protocol).toBe(ECHO)
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
      await dialer.hangUp(listener.peerId)
    }
  })

  async function openAndExchange (): Promise<Uint8Array> {
    const stream = await dialer.services.streamOpener.newStream(listener.peerId, ECHO)

    return exchange(stream, bytes('hello'))
  }

  it('works for many streams at once, with identify among them', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)

    for (let i = 0; i < 20; i++) {
      const done = identified(dialer, listener)
      await dialer.dial(addressOf(listener))

      // with identify that is as many as a listener takes while its end of the
      // connection is being made (maxEarlyStreams), more make it reset them all
      const answers = await Promise.all(Array.from({ length: 9 }, openAndExchange))

      expect(answers).toEqual(Array.from({ length: 9 }, () => bytes('hello')))
      await done
      await dialer.hangUp(listener.peerId)
    }
  })

  it('ends in UnsupportedProtocolError if the peer refuses what identify named while it was being opened', async () => {
    dialer = await createPatientNode()
    listener = await createStockNode(transport)
    const refuse = Promise.withResolvers<void>()
    await handleRaw(listener, '/fickle/1.0.0', stream => {
      stream.send(message('/multistream/1.0.0\n'))
      void refuse.promise.then(() => {
        stream.send(message('na\n'))
      })
    })
    await dialer.dial(addressOf(listener))
    const opening = dialer.services.streamOpener.newStream(listener.peerId, '/fickle/1.0.0')

    await untilStream('/fickle/1.0.0')
    announce(['/fickle/1.0.0'])

    const stream = await opening
    const read = readAll(stream)
    refuse.resolve()
    await expect(read).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
  })
})

/**
 * Resolves when the dialer has a stream of the protocol
 */
async function untilStream (protocol: string): Promise<void> {
  const [connection] = dialer.getConnections(listener.peerId)

  while (connection?.streams.some(stream => stream.protocol === protocol) !== true) {
    await turn()
  }
}
