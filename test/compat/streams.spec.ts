/**
 * What streams of stock libp2p get wrong, or keep to themselves
 */
import { mplex } from '@libp2p/mplex'
import { byteStream } from '@libp2p/utils'
import { yamux } from '@libp2p/yamux'
import { concat } from 'uint8arrays/concat'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { hasFrames } from '../../src/compat/frames.ts'
import { FullStream } from '../../src/compat/full-stream.ts'
import { isMuxedStream } from '../../src/compat/muxed-stream.ts'
import type { MuxedStream } from '../../src/compat/muxed-stream.ts'
import { getMuxer } from '../../src/compat/muxer-access.ts'
import { MuxerRoom } from '../../src/compat/muxer-room.ts'
import { encodeHandshake } from '../../src/negotiation/multistream-select.ts'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, stopNodes } from '../support/nodes.ts'
import { createRelay } from '../support/relay.ts'
import { bytes, closed, ECHO, echo, exchange, readAll } from '../support/streams.ts'
import { outcomeOf } from './settled.ts'
import { until } from '../support/wait.ts'
import type { NodeInit, OpenerServices, TransportName } from '../support/nodes.ts'
import type { Connection, Libp2p, Stream, StreamMuxer } from '@libp2p/interface'

const HELD = '/held/1.0.0'

interface Ends {
  connection: Connection
  outbound: Stream

  /**
   * What the handler of the listener got
   */
  remote: Stream
}

async function connect (transport: TransportName, init: NodeInit = {}, dialer?: Libp2p): Promise<Connection> {
  dialer ??= await createStockNode(undefined, init)
  const listener = await createStockNode(transport, init)

  onTestFinished(async () => stopNodes(dialer, listener))
  await listener.handle(ECHO, echo)
  await listener.handle(HELD, stream => { held.resolve(stream) })

  return connectIdentified(dialer, listener)
}

let held = Promise.withResolvers<Stream>()

async function open (connection: Connection): Promise<Ends> {
  held = Promise.withResolvers()
  const outbound = await connection.newStream(HELD)
  outbound.send(bytes('hello'))

  return { connection, outbound, remote: await held.promise }
}

function textOf (data: Uint8Array): string {
  return new TextDecoder().decode(data)
}

/**
 * `connection.muxer`, whether or not we can find it
 */
function muxerOf (connection: Connection): StreamMuxer {
  return (connection as unknown as { muxer: StreamMuxer }).muxer
}

describe('a reader of stock that comes late', () => {
  it('is not told of the end by `for await`, else src/compat/late-listeners.ts can go', async () => {
    const { outbound, remote } = await open(await connect('tcp'))

    await outbound.close()
    await until(() => remote.remoteWriteStatus === 'closed')
    expect(await outcomeOf(readAll(remote))).toBe('nothing')
  })

  it.each(['remoteCloseWrite', 'end', 'close'])('is not told of what it missed by an event, %s, else a part of src/compat/late-listeners.ts can go', async type => {
    const { outbound, remote } = await open(await connect('tcp'))
    const received = readAll(remote)

    await outbound.close()
    expect(textOf(await received)).toBe('hello')
    await remote.close()
    expect(remote.status).toBe('closed')
    expect(await outcomeOf(new Promise(resolve => { remote.addEventListener(type as 'close', resolve) }))).toBe('nothing')
  })

  it('takes a reset for a clean end with byteStream, else a part of src/compat/late-listeners.ts can go', async () => {
    const { outbound, remote } = await open(await connect('tcp'))
    const reset = closed(remote)

    remote.addEventListener('message', () => {})
    outbound.abort(new Error('Enough'))
    await reset
    expect(remote.status).toBe('reset')
    expect(await byteStream(remote).read()).toBe(null)
  })
})

describe('a stream of stock that was lost with its connection', () => {
  it.each([yamux, mplex])('is like one that both ends have closed (%o), else src/compat/silent-losses.ts can go', async muxer => {
    const init = { streamMuxers: [muxer()] }
    const [dialer, listener] = await Promise.all([createStockNode(undefined, init), createStockNode('tcp', init)])
    const relay = await createRelay(addressOf(listener))
    const stateOf = ({ status, readStatus, writeStatus, remoteReadStatus, remoteWriteStatus }: Stream): object => ({ status, readStatus, writeStatus, remoteReadStatus, remoteWriteStatus })

    onTestFinished(async () => stopNodes(dialer, listener))
    await listener.handle(HELD, stream => { held.resolve(stream) })

    const connection = await connectIdentified(dialer, listener, relay.addr)
    const [lost, ended] = [await open(connection), await open(connection)]
    await until(() => [lost, ended].every(({ remote }) => remote.readBufferLength === 5))
    await Promise.all([ended.outbound.close(), ended.remote.close()])
    await relay.close()
    await until(() => [lost, ended].every(({ remote }) => remote.status === 'closed'))

    expect(stateOf(lost.remote)).toEqual(stateOf(ended.remote))
    const reader = byteStream(lost.remote)
    expect(textOf((await reader.read())?.subarray() ?? bytes(''))).toBe('hello')
    expect(await reader.read()).toBe(null)
  })
})

/**
 * Whether a handler of stock answers a request whose handshake, data and FIN come in one
 * go
 */
async function answerTo (transport: TransportName): Promise<unknown> {
  const connection = await connect(transport)
  const stream = await muxerOf(connection).createStream()
  const answer = readAll(stream)

  stream.send(concat([encodeHandshake(ECHO), bytes('hello')]))
  await stream.close()

  // these come later
  for (let i = 0; i < 5; i++) {
    await exchange(await connection.newStream(ECHO), bytes('hello'))
  }

  return outcomeOf(answer)
}

describe('a handler of stock that reads `for await`', () => {
  it('does not answer a request that is over when it is called, else src/compat/listener-guard.ts can go', async () => {
    expect(await answerTo('tcp')).toBe('nothing')
  })

  it('does not do so over QUIC either, else src/compat/held-fins.ts can go', async () => {
    expect(await answerTo('quic')).toBe('nothing')
  })
})

describe('closing a stream of stock that has data to pass on, and is aborted meanwhile,', () => {
  async function closeAndAbort (transport: TransportName): Promise<unknown> {
    const { outbound } = await open(await connect(transport))

    outbound.send(new Uint8Array(1024 * 1024))
    expect(outbound.writableNeedsDrain).toBe(true)
    const closing = outbound.close()
    await Promise.resolve()
    outbound.abort(new Error('Enough'))

    return outcomeOf(closing)
  }

  it('never comes to its end over yamux, else src/compat/stream-close.ts can go', async () => {
    expect(await closeAndAbort('tcp')).toBe('nothing')
  })

  it('rejects with an event over QUIC, else a part of src/compat/stream-close.ts and of src/util/to-error.ts can go', async () => {
    const { outbound } = await open(await connect('quic'))

    await until(() => !outbound.writableNeedsDrain)
    outbound.send(bytes('hello'))
    expect(outbound.writableNeedsDrain).toBe(true)
    const closing = outcomeOf(outbound.close())
    // what it waits for now is that the muxer takes more
    await Promise.resolve()
    await Promise.resolve()
    outbound.abort(new Error('Enough'))
    expect(await closing).toBeInstanceOf(Event)
  })
})

describe('waiting for a stream of stock to drain', () => {
  it('takes no time any more after it has once, else src/bulk/transfer/write-ahead.ts can do so', async () => {
    const { outbound } = await open(await connect('quic'))

    await until(() => !outbound.writableNeedsDrain)
    outbound.send(bytes('hello'))
    await outbound.onDrain()
    outbound.send(bytes('hello'))
    await outbound.onDrain()
    expect(outbound.writableNeedsDrain).toBe(true)
  })
})

const MUXERS: Array<[string, TransportName, NodeInit]> = [
  ['yamux', 'tcp', {}],
  ['mplex', 'tcp', { streamMuxers: [mplex()] }],
  ['QUIC', 'quic', {}]
]

describe.each(MUXERS)('what is hidden in streams of %s', (name, transport, init) => {
  it('are the methods that a muxer calls, else src/compat/muxed-stream.ts has to change', async () => {
    const { outbound, remote } = await open(await connect(transport, init))

    expect([outbound, remote].map(isMuxedStream)).toEqual([true, true])
  })

  it('is whether they have frames, else src/compat/frames.ts has to change', async () => {
    const { outbound } = await open(await connect(transport, init))

    expect(hasFrames(outbound)).toBe(name === 'yamux')
  })

  it('is whether they are full, and anybody can set that, else src/compat/full-stream.ts has to change', async () => {
    const { outbound, remote } = await open(await connect(transport, init))

    await until(() => !outbound.writableNeedsDrain)
    const full = new FullStream(outbound as MuxedStream, () => 5)
    const drained = outbound.onDrain()

    expect(outbound.writeBufferLength).toBe(5)
    expect(await outcomeOf(drained)).toBe('nothing')
    full.restore()
    expect(outbound.writeBufferLength).toBe(0)
    outbound.safeDispatchEvent('drain')
    await drained

    outbound.send(bytes('again'))
    await outbound.close()
    await until(() => remote.readBufferLength === 'helloagain'.length)
  })
})

describe.each(MUXERS)('what is hidden in connections with %s', (name, transport, init) => {
  async function openings (connection: Connection, node: Libp2p<OpenerServices>): Promise<string[]> {
    const types: string[] = []
    const stream = await node.services.streamOpener.newStreamOn(connection, ECHO, {
      onProgress: ({ type }) => { types.push(type) }
    })

    expect(textOf(await exchange(stream, bytes('hello')))).toBe('hello')

    return types.filter(type => type.startsWith('stream-opener:'))
  }

  it('is the muxer, without which libp2p opens streams, else src/compat/muxer-access.ts has to change', async () => {
    const node = await createOpenerNode({}, init)
    const connection = await connect(transport, init, node)

    expect(getMuxer(connection)).toBe(muxerOf(connection))
    expect(await openings(connection, node)).toEqual(['stream-opener:optimistic'])

    Object.defineProperty(muxerOf(connection), 'protocol', { value: undefined })
    expect(getMuxer(connection)).toBe(undefined)
    expect(await openings(connection, node)).toEqual(['stream-opener:full'])
  })

  it('are the methods of its streams, without which libp2p negotiates, else src/compat/muxed-stream.ts has to change', async () => {
    const node = await createOpenerNode({}, init)
    const connection = await connect(transport, init, node)
    const muxer = muxerOf(connection)
    const { createStream } = muxer

    vi.spyOn(muxer, 'createStream').mockImplementationOnce(async options => Object.assign(await createStream.call(muxer, options), { onData: undefined }))
    expect(await openings(connection, node)).toEqual(['stream-opener:optimistic', 'stream-opener:full'])
  })

  it('is how many streams it has room for, else src/compat/muxer-room.ts has to change', async () => {
    const connection = await connect(transport, init)
    const room = new MuxerRoom(() => {})

    expect(room.streamsLeft(connection)).toBe(name === 'yamux' ? 1_000 - connection.streams.length : Infinity)
  })
})

describe('a listener of stock whose protocol has middleware', () => {
  it('runs the handler once more with each stream', async () => {
    const [dialer, listener] = await Promise.all([createStockNode(undefined), createStockNode('memory')])
    onTestFinished(async () => stopNodes(dialer, listener))
    const calls: Stream[] = []

    await listener.handle(ECHO, async stream => {
      calls.push(stream)

      if (calls.filter(called => called === stream).length === 1) {
        await echo(stream)
      }
    })
    listener.use(ECHO, [(stream, connection, next) => { next(stream, connection) }])
    const connection = await connectIdentified(dialer, listener)

    await exchange(await connection.newStream(ECHO), bytes('hello'))
    expect(calls).toHaveLength(1)
    await exchange(await connection.newStream(ECHO), bytes('hello'))
    await expect.poll(() => calls.length).toBe(3)
  })
})

describe('a muxer of stock that is full', () => {
  it('refuses a stream at once, else src/compat/muxer-room.ts can go', async () => {
    const connection = await connect('tcp', { streamMuxers: [yamux({ maxOutboundStreams: 3 })] })

    await until(() => connection.streams.length === 0)
    await Promise.all(Array.from({ length: 3 }, async () => connection.newStream(ECHO)))
    await expect(connection.newStream(ECHO)).rejects.toThrow(expect.objectContaining({ name: expect.stringMatching(/^TooMany|Limit/) }))
  })
})
