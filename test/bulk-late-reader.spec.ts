/**
 * What `receiveBulk` gets of a stream that is over when it is called
 */
import { mplex } from '@libp2p/mplex'
import { yamux } from '@libp2p/yamux'
import { describe, expect, it, onTestFinished } from 'vitest'
import { receiveBulk, sendBulk, streamOpener } from '../src/index.ts'
import { bytesOf, digestOf } from './support/bulk-data.ts'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { connectQuic, DIRECTIONS } from './support/quic-streams.ts'
import { createRelay } from './support/relay.ts'
import { until } from './support/wait.ts'
import type { OpenStreamOnOptions } from '../src/index.ts'
import type { OpenerServices, TransportName } from './support/nodes.ts'
import type { Relay } from './support/relay.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const BULK = '/bulk/1.0.0'
const SIZE = 100_000

const MUXERS = { yamux, mplex }

/**
 * Whose connections can end without an error
 */
const KINDS: Array<[TransportName, keyof typeof MUXERS]> = [['tcp', 'yamux'], ['tcp', 'mplex'], ['ws', 'yamux']]

let dialer: Libp2p<OpenerServices>
let listener: Libp2p
let relay: Relay

interface Ends {
  reader: Stream
  writer: Stream
}

async function connect (transport: TransportName, muxer: keyof typeof MUXERS, isGuarded: boolean): Promise<Connection> {
  const streamMuxers = [MUXERS[muxer]()]

  listener = await createStockNode(transport, { streamMuxers, ...(isGuarded ? { services: { streamOpener: streamOpener() } } : {}) })
  relay = await createRelay(addressOf(listener))
  dialer = await createOpenerNode({}, { streamMuxers })

  onTestFinished(async () => {
    await stopNodes(dialer, listener)
    await relay.close().catch(() => {})
  })

  return connectIdentified(dialer, listener, relay.addr)
}

async function open (connection: Connection, options?: OpenStreamOnOptions): Promise<{ outbound: Stream, inbound: Stream }> {
  const { promise, resolve } = Promise.withResolvers<Stream>()

  await listener.handle(BULK, resolve)
  const outbound = await dialer.services.streamOpener.newStreamOn(connection, BULK, options)

  return { outbound, inbound: await promise }
}

/**
 * Which end reads, of whose streams the loss is known
 */
const READERS: Record<string, (...kind: [TransportName, keyof typeof MUXERS]) => Promise<Ends>> = {
  'a handler': async (...kind) => {
    const { outbound, inbound } = await open(await connect(...kind, true))

    return { reader: inbound, writer: outbound }
  },
  'who has opened the stream': async (...kind) => {
    const { outbound, inbound } = await open(await connect(...kind, false))

    return { reader: outbound, writer: inbound }
  },
  'who has had it negotiated in full': async (...kind) => {
    const { outbound, inbound } = await open(await connect(...kind, false), { negotiateFully: true })

    return { reader: outbound, writer: inbound }
  }
}

async function send ({ reader, writer }: Ends): Promise<void> {
  for (const chunk of bytesOf(SIZE)) {
    writer.send(chunk)
  }

  await until(() => reader.readBufferLength === SIZE)
}

async function lose (): Promise<void> {
  await relay.close()
  await until(() => [dialer, listener].every(node => node.getConnections().length === 0))
}

async function expectLoss (reader: Stream): Promise<void> {
  await expect(digestOf(receiveBulk(reader))).rejects.toMatchObject({
    name: 'BulkTransferError',
    bytes: SIZE,
    cause: { name: 'UnexpectedEOFError' }
  })
}

async function expectAll (reader: Stream): Promise<void> {
  expect(await digestOf(receiveBulk(reader))).toStrictEqual(await digestOf(bytesOf(SIZE)))
}

describe.each(KINDS.flatMap(kind => Object.keys(READERS).map(reader => [...kind, reader] as const)))('over %s and %s, %s', (transport, muxer, name) => {
  async function start (): Promise<Ends> {
    return READERS[name]?.(transport, muxer) as Promise<Ends>
  }

  it('does not take the loss of the connection for the end', async () => {
    const ends = await start()
    await send(ends)
    await lose()
    expect(ends.reader.status).toBe('closed')

    await expectLoss(ends.reader)
  })

  it('does not do so when it has closed its own end', async () => {
    const ends = await start()
    await ends.reader.close()
    await send(ends)
    await lose()
    expect(ends.reader.status).toBe('closed')

    await expectLoss(ends.reader)
  })

  it('gets all of a stream that both ends have closed', async () => {
    const ends = await start()
    await ends.reader.close()
    await send(ends)
    await ends.writer.close()
    await until(() => ends.reader.status === 'closed')

    await expectAll(ends.reader)
  })

  it('gets nothing of it when the signal is aborted', async () => {
    const ends = await start()
    await ends.reader.close()
    await send(ends)
    await ends.writer.close()
    await until(() => ends.reader.status === 'closed')

    await expect(receiveBulk(ends.reader, { signal: AbortSignal.abort() }).next()).rejects.toMatchObject({ name: 'AbortError', bytes: 0 })
  })

  it('gets all of what was ended before the connection was lost', async () => {
    const ends = await start()
    await send(ends)
    await ends.writer.close()
    await until(() => ends.reader.remoteWriteStatus === 'closed')
    await lose()
    expect(ends.reader.status).toBe('closed')

    await expectAll(ends.reader)
  })
})

describe('a handler of a node that does not run the service', () => {
  async function start (): Promise<Ends> {
    const { outbound, inbound } = await open(await connect('tcp', 'yamux', false))

    return { reader: inbound, writer: outbound }
  }

  it('does not take the loss of the connection for the end', async () => {
    const ends = await start()
    await send(ends)
    await lose()

    await expectLoss(ends.reader)
  })

  it('gets all of a stream that only the peer has closed', async () => {
    const ends = await start()
    await send(ends)
    await ends.writer.close()
    await until(() => ends.reader.remoteWriteStatus === 'closed')

    await expectAll(ends.reader)
  })

  it('cannot tell the end of a stream that it has closed as well, which is no end then', async () => {
    const ends = await start()
    await ends.reader.close()
    await send(ends)
    await ends.writer.close()
    await until(() => ends.reader.status === 'closed')

    await expectLoss(ends.reader)
  })
})

describe.each(DIRECTIONS)('on a QUIC stream that is %s', direction => {
  it.each([{}, { listenerGuard: false }])('gets all of a stream that both ends have closed (%o)', async init => {
    const { stream, remote } = await (await connectQuic(direction, init)).open()
    await stream.close()
    await send({ reader: stream, writer: remote })
    await remote.close()
    await until(() => stream.status === 'closed')

    await expectAll(stream)
  })

  it('does not wait for what is left of a stream that was reset when the signal is aborted', async () => {
    const { stream, remote } = await (await connectQuic(direction)).open()
    const controller = new AbortController()
    const chunks = receiveBulk(stream, { signal: controller.signal, highWaterMark: 64 * 1024 })
    sendBulk(remote, bytesOf(Infinity)).catch(() => {})
    await chunks.next()
    await until(() => stream.readStatus === 'paused' && stream.readBufferLength > 0)

    remote.abort(new Error('Reset'))
    // the reads are held, so this is how it gets to know
    sendBulk(stream, bytesOf(Infinity)).catch(() => {})
    await until(() => stream.status !== 'open')
    expect(stream.readBufferLength).toBeGreaterThan(0)
    controller.abort()

    await expect(chunks.next()).rejects.toMatchObject({ name: 'BulkTransferError', cause: { name: 'StreamResetError' } })
  })

  it('does not take a reset for the end', async () => {
    const { stream, remote } = await (await connectQuic(direction)).open()
    await send({ reader: stream, writer: remote })
    remote.abort(new Error('Reset'))
    await until(() => stream.status === 'reset')

    await expect(digestOf(receiveBulk(stream))).rejects.toMatchObject({ name: 'BulkTransferError', cause: { name: 'StreamResetError' } })
  })
})

describe.each(DIRECTIONS)('on a QUIC stream that is %s and read as stock reads it', direction => {
  it('takes a reset for the end, which quinn says once', async () => {
    const { stream, remote } = await (await connectQuic(direction, 'stock')).open()
    await send({ reader: stream, writer: remote })
    remote.abort(new Error('Reset'))
    await until(() => stream.remoteWriteStatus === 'closed')
    expect(stream.status).toBe('open')

    await expectAll(stream)
  })

  it('does not take the loss of the connection for the end', async () => {
    const pair = await connectQuic(direction, 'stock')
    const streams: Stream[] = []

    // stock aborts every other one of them, which drops what has arrived
    for (let i = 0; i < 4; i++) {
      const { stream, remote } = await pair.open()
      await send({ reader: stream, writer: remote })
      streams.push(stream)
    }

    pair.peerConnection.abort(new Error('Gone'))
    await until(() => streams.every(stream => stream.remoteWriteStatus === 'closed'))

    for (const stream of streams) {
      await expect(digestOf(receiveBulk(stream))).rejects.toMatchObject({ name: 'BulkTransferError' })
    }
  })

  it('gets all of a stream that both ends have closed', async () => {
    const { stream, remote } = await (await connectQuic(direction, 'stock')).open()
    await stream.close()
    await send({ reader: stream, writer: remote })
    await remote.close()
    await until(() => stream.status === 'closed')

    await expectAll(stream)
  })

  it('gets all of what was ended before the connection was lost', async () => {
    const pair = await connectQuic(direction, 'stock')
    const { stream, remote } = await pair.open()
    await stream.close()
    await send({ reader: stream, writer: remote })
    await remote.close()
    await until(() => stream.remoteWriteStatus === 'closed')
    await pair.peer.stop()
    await until(() => pair.node.getConnections().length === 0)

    await expectAll(stream)
  })
})
