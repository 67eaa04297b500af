/**
 * Two nodes with many idle QUIC streams, in a process of its own, as what other tests
 * have left would count as well
 */
import { fileURLToPath } from 'node:url'
import { quic } from '@chainsafe/libp2p-quic'
import { collectGarbage } from './gc.ts'
import { streamOpener } from '../../src/index.ts'
import { forkReady } from './fork-ready.ts'
import { addressOf, connectIdentified, createStockNode } from './nodes.ts'
import { pattern } from './streams.ts'
import { turn, until } from './wait.ts'
import type { NodeInit } from './nodes.ts'
import type { StreamOpenerInit } from '../../src/index.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const PROTOCOL = '/idle/1.0.0'

export interface IdleStreams {
  /**
   * What both ends hold, in bytes
   */
  heap: number

  /**
   * What is asked for by native reads that wait, in bytes
   */
  native: number
}

/**
 * The memory of so many streams on which a little was said each way
 */
export async function measureIdleStreams (streams: number, init: StreamOpenerInit | 'stock'): Promise<IdleStreams> {
  const { ready, stop } = await forkReady<IdleStreams>(new URL(import.meta.url), [`${streams}`, JSON.stringify(init)])
  await stop()

  return ready
}

async function heapUsed (): Promise<number> {
  for (let i = 0; i < 5; i++) {
    collectGarbage()
    await turn()
  }

  const { heapUsed, arrayBuffers } = process.memoryUsage()

  return heapUsed + arrayBuffers
}

/**
 * Until the stream has received so much
 */
async function receive (stream: Stream, bytes: number): Promise<void> {
  let received = 0
  stream.addEventListener('message', ({ data }) => { received += data.byteLength })
  await until(() => received === bytes)
}

/**
 * How many bytes the native reads that wait have asked for
 */
async function watchReads (connection: Connection): Promise<{ waiting: number }> {
  const { muxer } = connection as unknown as { muxer: { init: { connection: { outboundStream(): Promise<object> } } } }
  const prototype = Object.getPrototypeOf(await muxer.init.connection.outboundStream())
  const { read } = prototype
  const watched = { waiting: 0 }

  prototype.read = async function (asked: number) {
    watched.waiting += asked
    const data = await read.call(this, asked)
    watched.waiting -= asked

    return data
  }

  return watched
}

async function openIdle (connection: Connection, listener: Libp2p, count: number): Promise<Stream[]> {
  const opened: Stream[] = []

  for (let i = 0; i < count; i++) {
    const accepted = Promise.withResolvers<Stream>()
    await listener.handle(PROTOCOL, accepted.resolve, { maxInboundStreams: 10_000, force: true })
    const outbound = await connection.newStream(PROTOCOL, { maxOutboundStreams: 10_000 })
    const inbound = await accepted.promise
    const receiving = [receive(outbound, 10_000), receive(inbound, 100)]

    outbound.send(pattern(100))
    inbound.send(pattern(10_000))
    await Promise.all(receiving)
    opened.push(outbound, inbound)
  }

  return opened
}

if (process.send != null && process.argv[1] === fileURLToPath(import.meta.url)) {
  // libp2p holds what it has negotiated until these are over: the faster, the more
  AbortSignal.timeout = () => new AbortController().signal

  const streams = Number(process.argv[2])
  const init: StreamOpenerInit | 'stock' = JSON.parse(process.argv[3] ?? '')
  const node: NodeInit = {
    transports: [quic({ maxConcurrentStreamLimit: 10_000 })],
    services: init === 'stock' ? {} : { streamOpener: streamOpener(init) }
  }
  const [dialer, listener] = await Promise.all([createStockNode(undefined, node), createStockNode('quic', node)])
  const connection = await connectIdentified(dialer, listener, addressOf(listener))
  const watched = await watchReads(connection)

  // code is compiled, and pools are filled
  const first = await openIdle(connection, listener, streams / 5)
  const before = { heap: await heapUsed(), native: watched.waiting }
  const more = await openIdle(connection, listener, streams)
  const result = { heap: await heapUsed() - before.heap, native: watched.waiting - before.native }

  if ([...first, ...more].some(({ status }) => status !== 'open')) {
    throw new Error('Not all of the streams are open')
  }

  process.on('disconnect', () => { process.exit() })
  process.send(result)
}
