import { identify } from '@libp2p/identify'
import { byteStream } from '@libp2p/utils'
import { describe, expect, it } from 'vitest'
import { receiveBulk, sendBulk } from '../../src/index.ts'
import { forkBulkListener, ENDLESS, FAST } from '../support/bulk-listener.ts'
import { bytesOf, digestOf, turn, until, untilSteady } from '../support/bulk-data.ts'
import { measureIdleStreams } from '../support/idle-quic-streams.ts'
import { addressOf } from '../support/nodes.ts'
import { busiest, connectQuic, createQuicNode, DIRECTIONS, muxerOf, watchNativeReads } from '../support/quic-streams.ts'
import { areReplaced, bytes, closed, pattern, readAll } from '../support/streams.ts'
import type { Digest } from '../support/bulk-data.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { Direction, NativeRead, QuicMuxer } from '../support/quic-streams.ts'
import type { StreamOpenerInit } from '../../src/index.ts'
import type { Libp2p, Startable, Stream, StreamCloseEvent } from '@libp2p/interface'

const KIB = 1024
const MIB = 1024 * KIB

/**
 * The window of quinn, what upstream gives a stream by default
 */
const MAX_STREAM_DATA = 10_000_000

const CHUNK = 64 * KIB

/**
 * What the sender has given away, and the receiver has not read, at most: the window,
 * a chunk that does not fit in, and the one behind it
 */
const MAX_IN_FLIGHT = MAX_STREAM_DATA + 4 * CHUNK

class Sending {
  sent = 0
  readonly done: Promise<unknown>
  readonly #length: number
  #isOver = false

  constructor (stream: Stream, length: number) {
    this.#length = length
    this.done = sendBulk(stream, this.#source())
    this.done.catch(() => {}).finally(() => { this.#isOver = true })
  }

  async * #source (): AsyncGenerator<Uint8Array> {
    for (const chunk of bytesOf(this.#length, CHUNK)) {
      yield chunk
      this.sent += chunk.byteLength
    }
  }

  /**
   * Until the peer, who has read so much, takes no more. quinn does not tell of the
   * last eighth of its window.
   */
  async untilHeld (read = 0): Promise<number> {
    const least = Math.min(this.#length, read + MAX_STREAM_DATA * 7 / 8) - 2 * CHUNK
    await until(() => this.#isOver || this.sent >= least)

    return untilSteady(() => this.sent)
  }
}

async function * chunksOf (stream: Stream): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    yield chunk.subarray()
  }
}

async function digestOfStream (stream: Stream): Promise<Digest> {
  return digestOf(chunksOf(stream))
}

/**
 * Somebody listens, so the stream is read unless it is paused
 */
function listen (stream: Stream): { received: number } {
  const seen = { received: 0 }
  stream.addEventListener('message', ({ data }) => { seen.received += data.byteLength })

  return seen
}

function serviceOf ({ services: { streamOpener } }: Libp2p<OpenerServices>): Startable {
  return streamOpener as unknown as Startable
}

async function stopService (node: Libp2p<OpenerServices>): Promise<void> {
  await serviceOf(node).stop()
}

const asked = (reads: NativeRead[]): number[] => reads.map(({ asked }) => asked)

describe.each(DIRECTIONS)('a QUIC stream that is %s', direction => {
  it('is read in larger pieces while they come back full, and in small ones otherwise', async () => {
    const pair = await connectQuic(direction)
    const reads = await watchNativeReads(pair)
    const { stream, remote } = await pair.open()
    const received = listen(stream)
    const sending = new Sending(remote, Infinity)

    while (!reads.some(({ asked, got }) => asked === 256 * KIB && got === asked)) {
      // there is a lot to read when it goes on
      stream.pause()
      await sending.untilHeld(received.received)
      stream.resume()
      await until(() => busiest(reads).at(-1)?.got == null)
    }

    stream.abort(new Error('It was enough'))

    const own = busiest(reads).filter(({ got }) => got != null)
    expect(own.length).toBeGreaterThan(4)
    expect(Math.max(...asked(own))).toBe(256 * KIB)
    expect(received.received / own.length).toBeGreaterThan(4 * KIB)

    own.slice(1).forEach(({ asked }, i) => {
      const before = own[i] as NativeRead
      expect(asked).toBe(before.got === before.asked ? Math.min(before.asked * 4, 256 * KIB) : 4 * KIB)
    })
  })

  it('waits for more with a small read, so it is as cheap as ever while it is idle', async () => {
    const pair = await connectQuic(direction)
    const reads = await watchNativeReads(pair)
    const { stream, remote } = await pair.open()
    const seen = listen(stream)

    stream.pause()
    remote.send(pattern(2 * MIB))
    await untilSteady(() => stream.readBufferLength)
    stream.resume()
    await until(() => seen.received === 2 * MIB)
    remote.send(bytes('and one that does not fill it'))
    await until(() => seen.received > 2 * MIB)

    await until(() => busiest(reads).at(-1)?.got == null)
    expect(busiest(reads).at(-1)?.asked).toBe(4 * KIB)
  })

  it('is not read while it is paused, so the peer waits, and goes on where it was', async () => {
    const pair = await connectQuic(direction)
    const reads = await watchNativeReads(pair)
    const { stream, remote } = await pair.open()
    const digest = digestOfStream(stream)

    stream.pause()
    const sending = new Sending(remote, 32 * MIB)
    const held = await sending.untilHeld()
    const { readBufferLength } = stream
    const { length } = busiest(reads)

    expect(held).toBeLessThanOrEqual(MAX_IN_FLIGHT)
    expect(remote.writableNeedsDrain).toBe(true)
    // what was being waited for
    expect(readBufferLength).toBeGreaterThan(0)
    expect(readBufferLength).toBeLessThanOrEqual(4 * KIB)

    expect(await untilSteady(() => sending.sent)).toBe(held)
    expect(busiest(reads)).toHaveLength(length)
    expect(stream).toMatchObject({ status: 'open', readBufferLength, remoteWriteStatus: 'writable' })

    stream.resume()

    expect(await digest).toEqual(await digestOf(bytesOf(32 * MIB)))
    await sending.done
  })

  it('does not abort itself when 32 MiB come for a slow reader', async () => {
    const { stream, remote } = await (await connectQuic(direction)).open()
    const digest = digestOfStream(stream)
    let received = 0
    let pauses = 0
    let maxBuffered = 0

    stream.addEventListener('message', ({ data }) => {
      received += data.byteLength

      if (received / (4 * MIB) > pauses) {
        pauses++
        stream.pause()

        void untilSteady(() => sending.sent, 50).then(() => {
          maxBuffered = Math.max(maxBuffered, stream.readBufferLength)
          stream.resume()
        })
      }
    })

    const sending = new Sending(remote, 32 * MIB)

    expect(await digest).toEqual(await digestOf(bytesOf(32 * MIB)))
    expect(pauses).toBeGreaterThanOrEqual(8)
    expect(maxBuffered).toBeLessThanOrEqual(256 * KIB)
    await sending.done
  })

  it('does not abort itself when nobody listens to it yet', async () => {
    const { stream, remote } = await (await connectQuic(direction)).open()
    const sending = new Sending(remote, 32 * MIB)
    const held = await sending.untilHeld(stream.maxReadBufferLength / 2)

    expect(stream.status).toBe('open')
    expect(stream.readBufferLength).toBeGreaterThan(stream.maxReadBufferLength / 2)
    expect(stream.readBufferLength).toBeLessThanOrEqual(stream.maxReadBufferLength)
    expect(held).toBeLessThanOrEqual(MAX_IN_FLIGHT + stream.maxReadBufferLength)

    expect(await digestOfStream(stream)).toEqual(await digestOf(bytesOf(32 * MIB)))
    await sending.done
  })

  it('throws away what it is not to read, also when it was paused', async () => {
    const { stream, remote } = await (await connectQuic(direction)).open()

    stream.pause()
    const sending = new Sending(remote, 32 * MIB)
    await sending.untilHeld()
    await stream.closeRead()
    await sending.done
    await until(() => stream.remoteWriteStatus === 'closed')

    expect(stream.status).toBe('open')
    await Promise.all([closed(stream), stream.close()])
    expect(stream.status).toBe('closed')
  })

  it('can be aborted while it is paused', async () => {
    const pair = await connectQuic(direction)
    const { stream, remote } = await pair.open()

    stream.pause()
    const sending = new Sending(remote, 32 * MIB)
    await sending.untilHeld()
    const remoteClosed = closed(remote)
    stream.abort(new Error('No more of it'))

    expect(await remoteClosed).toMatchObject({ error: expect.any(Error) })
    await expect(sending.done).rejects.toThrow()
    await until(() => [pair.connection, pair.peerConnection].every(({ streams }) => !streams.includes(stream) && !streams.includes(remote)))
  })

  it('is paused by receiveBulk(), so no more than its watermark waits for a slow reader', async () => {
    const pair = await connectQuic(direction)
    const reads = await watchNativeReads(pair)
    const { stream, remote } = await pair.open()
    const received = listen(stream)
    const chunks = receiveBulk(stream, { highWaterMark: MIB })
    const sending = new Sending(remote, 32 * MIB)
    let taken = 0
    let waiting = 0

    const digest = await digestOf(chunks, async bytes => {
      if (bytes - taken > 4 * MIB) {
        taken = bytes
        await sending.untilHeld(bytes)
        await until(() => stream.readStatus === 'paused' && busiest(reads).at(-1)?.got != null)
        expect(stream.status).toBe('open')
        waiting = Math.max(waiting, received.received - bytes + stream.readBufferLength)
      }
    })

    expect(digest).toEqual(await digestOf(bytesOf(32 * MIB)))
    expect(waiting).toBeGreaterThan(MIB / 8)
    // one more read is under way when it pauses, and one comes before anything waits
    expect(waiting).toBeLessThanOrEqual(MIB / 4 + 2 * 256 * KIB)
    await sending.done
  })

  it('carries 64 MiB each way at once', async () => {
    const { stream, remote } = await (await connectQuic(direction, {}, {})).open()
    const digests = [digestOfStream(stream), digestOfStream(remote)]
    const sending = [new Sending(stream, 64 * MIB), new Sending(remote, 64 * MIB)]
    const expected = await digestOf(bytesOf(64 * MIB))

    expect(await Promise.all(digests)).toEqual([expected, expected])
    await Promise.all(sending.map(async ({ done }) => done))
    await until(() => stream.status === 'closed' && remote.status === 'closed')
  })

  it('ends with the end of the data, and without an error', async () => {
    const { stream, remote } = await (await connectQuic(direction)).open()
    const reader = byteStream(stream)
    const events: string[] = []
    const end = closed(stream)

    for (const type of ['remoteCloseWrite', 'end', 'close'] as const) {
      stream.addEventListener(type, () => { events.push(type) })
    }

    remote.send(bytes('hello'))
    await remote.close()

    expect((await reader.read({ bytes: 5 })).subarray()).toEqual(bytes('hello'))
    expect(await reader.read()).toBe(null)
    await stream.close()
    expect((await end).error).toBeUndefined()
    expect(events).toEqual(['remoteCloseWrite', 'end', 'close'])
    expect(stream.status).toBe('closed')
  })
})

/**
 * When the peer resets a stream. What is returned is to be done afterwards.
 */
const MOMENTS: Record<string, (stream: Stream, remote: Stream) => Promise<undefined | (() => void)>> = {
  'before anything was sent': async () => undefined,

  'after data': async (stream, remote) => {
    remote.send(bytes('hello'))
    return undefined
  },

  'while it sends': async (stream, remote) => {
    const sending = new Sending(remote, Infinity)
    await until(() => sending.sent > MIB)
    return undefined
  },

  'while it is sent to': async stream => {
    const sending = new Sending(stream, Infinity)
    await until(() => sending.sent > MIB)
    return undefined
  },

  'while both send': async (stream, remote) => {
    const sending = [new Sending(stream, Infinity), new Sending(remote, Infinity)]
    await until(() => sending.every(({ sent }) => sent > MIB))
    return undefined
  },

  'after the end of what was sent to it': async stream => {
    stream.send(bytes('hello'))
    await stream.close()
    return undefined
  },

  'while nothing waits for a reader that has paused': async stream => {
    stream.pause()
    return undefined
  },

  'while data waits for a reader that has paused': async (stream, remote) => {
    stream.pause()
    await new Sending(remote, Infinity).untilHeld()

    return () => { stream.resume() }
  }
}

/**
 * How a reader gets to know
 */
const READERS: Record<string, (stream: Stream) => Promise<unknown>> = {
  'for await': readAll,

  'byteStream()': async stream => {
    const reader = byteStream(stream, { maxBufferSize: Infinity })

    while (await reader.read() != null) {
      // until the end
    }
  },

  'receiveBulk()': async stream => {
    await digestOf(receiveBulk(stream)).catch(err => { throw err.cause })
  },

  listeners: async stream => {
    const events: string[] = []
    let evt: StreamCloseEvent | undefined
    stream.addEventListener('message', () => {})
    stream.addEventListener('remoteCloseWrite', () => { events.push('remoteCloseWrite') })
    stream.addEventListener('close', closeEvent => { evt = closeEvent })
    await until(() => evt != null)
    // nor afterwards
    await turn()
    expect(events).toEqual([])
    expect(evt?.local).toBe(false)

    throw evt?.error ?? new Error('It ended')
  }
}

describe.each(DIRECTIONS)('a QUIC stream that is %s and reset by the peer', direction => {
  it.each(Object.keys(MOMENTS).flatMap(moment => Object.keys(READERS).map(reader => [moment, reader] as const)))('%s, is not taken for complete by %s', async (moment, reader) => {
    const pair = await connectQuic(direction)

    for (let turns = 0; turns < 5; turns++) {
      const { stream, remote } = await pair.open()
      const reading = READERS[reader]?.(stream)
      const failure = expect(reading).rejects.toMatchObject({ name: 'StreamResetError' })
      const goOn = await MOMENTS[moment]?.(stream, remote)

      for (let i = 0; i < turns; i++) {
        await turn()
      }

      remote.abort(new Error('Reset'))
      goOn?.()

      await failure
      expect(stream.status).toBe('reset')
    }

    await until(() => pair.connection.streams.length === 0 && pair.peerConnection.streams.length === 0)
  })

  it('makes room for the next one, 1,000 times', async () => {
    const pair = await connectQuic(direction)

    for (let i = 0; i < 1_000; i++) {
      const { stream, remote } = await pair.open()
      const end = closed(stream)
      remote.abort(new Error('Reset'))
      expect((await end).error?.name).toBe('StreamResetError')
    }
  })
})

describe('the streams of a QUIC connection that is lost', () => {
  it('all end with an error, whatever they were doing', async () => {
    const listener = await forkBulkListener('quic')
    const dialer = await createQuicNode(false, {}, { maxIdleTimeout: 2_000, keepAliveInterval: 500 })
    const { streamOpener } = dialer.services
    const open = async (protocol: string): Promise<Stream> => streamOpener.newStream(listener.addr, protocol)
    const endless = await Promise.all(Array.from({ length: 18 }, async () => open(ENDLESS)))
    const idle = await Promise.all(Array.from({ length: 8 }, async () => open(FAST)))
    const [read, paused, ended] = [endless.slice(0, 6), endless.slice(6, 12), endless.slice(12)]
    const streams = [...endless, ...idle]
    const names: string[] = []
    const statuses: string[] = []
    const [connection] = dialer.getConnections()
    const ends = streams.map(async stream => closed(stream))
    streams.forEach(stream => { stream.addEventListener('close', () => { statuses.push(connection?.status ?? '') }) })
    const readers = [...read, ...ended].map(async stream => readAll(stream).catch(err => { names.push(err.name) }))
    const received = paused.map(listen)

    await until(() => received.every(({ received }) => received > 0))
    paused.forEach(stream => { stream.pause() })
    await Promise.all(ended.map(async stream => stream.close()))
    await until(() => paused.every(({ readBufferLength }) => readBufferLength > 0))
    await listener.kill()

    expect((await Promise.all(ends)).map(({ error }) => error?.name)).toEqual(Array(26).fill('ConnectionClosedError'))
    // who opens another one because of that does not get one on this connection
    expect(statuses).toEqual(Array(26).fill('closed'))
    await Promise.all(readers)
    expect(names).toEqual(Array(12).fill('ConnectionClosedError'))
    expect(streams.map(({ status }) => status)).toEqual(Array(26).fill('aborted'))
    expect(dialer.getConnections()).toEqual([])
  })

  it.each(DIRECTIONS)('all end with an error when the peer aborts it (%s)', async direction => {
    const pair = await connectQuic(direction)
    const opened = await Promise.all(Array.from({ length: 1 }, async () => pair.open()))

    for (let i = 0; i < 9; i++) {
      opened.push(await pair.open())
    }

    const ends = opened.map(async ({ stream }) => closed(stream))
    opened.forEach(({ stream }, i) => { i % 2 === 0 ? listen(stream) : stream.pause() })
    pair.peerConnection.abort(new Error('Gone'))

    for (const { error } of await Promise.all(ends)) {
      // libp2p resets them first
      expect(error?.name).toBeOneOf(['StreamResetError', 'ConnectionClosedError'])
    }
  })
})

describe('the first stream that a peer opens on a QUIC connection', () => {
  it('is read as all others, though the muxer has begun to wait for it before', async () => {
    const silent = { services: { identify: identify({ runOnConnectionOpen: false }) } }
    const [listener, dialer] = await Promise.all([createQuicNode(true, {}, {}, silent), createQuicNode(false, 'stock', {}, silent)])
    const { promise, resolve } = Promise.withResolvers<Stream>()
    await listener.handle('/first/1.0.0', resolve)
    const connection = await dialer.dial(addressOf(listener))
    const outbound = await connection.newStream('/first/1.0.0')
    const stream = await promise

    expect(stream.id).toBe('0')
    stream.pause()
    const sending = new Sending(outbound, 32 * MIB)
    await sending.untilHeld()
    expect(stream.status).toBe('open')
    stream.resume()
    expect(await digestOfStream(stream)).toEqual(await digestOf(bytesOf(32 * MIB)))
  })
})

describe('streams that were opened before the service was started', () => {
  it.each(DIRECTIONS)('are as with stock, those after it are not (%s)', async direction => {
    const pair = await connectQuic(direction)
    await stopService(pair.node)
    const before = await pair.open()
    await serviceOf(pair.node).start()
    const after = await pair.open()

    for (const { stream, remote } of [before, after]) {
      stream.pause()
      const sending = new Sending(remote, 32 * MIB)
      await Promise.race([closed(stream), sending.untilHeld()])
    }

    expect(before.stream.status).toBe('aborted')
    expect(after.stream.status).toBe('open')
  })
})

interface Replaced {
  node: Libp2p<OpenerServices>
  muxer: QuicMuxer

  /**
   * What is not as upstream has made it
   */
  replaced(): string[]
}

async function watchReplaced (direction: Direction, init: StreamOpenerInit | 'stock'): Promise<Replaced> {
  const pair = await connectQuic(direction, init)
  const muxer = muxerOf(pair.connection)
  const { connection } = muxer.init
  const reads = await watchNativeReads(pair)
  const { stream } = await pair.open()
  const natives = reads.map(({ native }) => native)

  listen(stream)
  expect(natives.length).toBeGreaterThan(1)

  return {
    node: pair.node,
    muxer,
    replaced: () => [...new Set([
      ...natives.flatMap(native => areReplaced(native, ['read', 'write'])),
      ...areReplaced(muxer, ['cleanUpStream', 'abort', 'close', 'createStream']),
      ...areReplaced(connection, ['outboundStream', 'inboundStream'])
    ])]
  }
}

describe.each(DIRECTIONS)('%s QUIC streams', direction => {
  it('are left alone where the service does not run', async () => {
    expect((await watchReplaced(direction, 'stock')).replaced()).toEqual([])
  })

  it('are left alone where it is told so', async () => {
    expect((await watchReplaced(direction, { quicReads: false })).replaced()).toEqual([])
  })

  it('get back what was replaced when the service is stopped', async () => {
    const { node, muxer, replaced } = await watchReplaced(direction, {})
    const { onInboundStream } = muxer

    expect(replaced()).toEqual(['read', 'write', 'cleanUpStream', 'abort', 'outboundStream'])
    await stopService(node)
    expect(replaced()).toEqual([])
    expect(muxer.onInboundStream).not.toBe(onInboundStream)
  })

  it('go on when the service is stopped while they are paused, and lose nothing', async () => {
    const pair = await connectQuic(direction)
    const { stream, remote } = await pair.open()
    const digest = digestOfStream(stream)

    stream.pause()
    const sending = new Sending(remote, 12 * MIB)
    await sending.untilHeld()
    stream.resume()
    stream.pause()
    await stopService(pair.node)
    stream.resume()

    expect(await digest).toEqual(await digestOf(bytesOf(12 * MIB)))
  })
})

describe('1,000 idle QUIC streams', () => {
  it('take no more than a tenth more memory than those of stock', async () => {
    const stock = await measureIdleStreams(1_000, 'stock')
    const ours = await measureIdleStreams(1_000, {})

    // each end waits for more with a read
    expect(stock.native).toBe(2_000 * 4 * KIB)
    expect(ours.native).toBe(stock.native)
    expect(stock.heap).toBeGreaterThan(1_000 * KIB)
    expect(ours.heap + ours.native).toBeLessThanOrEqual((stock.heap + stock.native) * 1.1)
  })
})

/**
 * When one of these goes red, upstream has mended what is mended here
 */
describe.each(DIRECTIONS)('a QUIC stream of stock that is %s', direction => {
  it('is read 4 KiB at a time, else src/compat/quic/native-reads.ts can go', async () => {
    const pair = await connectQuic(direction, 'stock')
    const reads = await watchNativeReads(pair)
    const { stream, remote } = await pair.open()
    const digest = digestOfStream(stream)
    const sending = new Sending(remote, 8 * MIB)
    await digest
    await sending.done

    expect(new Set(asked(reads))).toEqual(new Set([4 * KIB]))
  })

  it('is read on while it is paused, and aborts itself, else src/compat/quic/held-by-pause.ts can go', async () => {
    const { stream, remote } = await (await connectQuic(direction, 'stock')).open()
    const end = closed(stream)
    stream.pause()
    const sending = new Sending(remote, 32 * MIB)

    expect((await end).error?.name).toBe('StreamBufferError')
    await expect(sending.done).rejects.toThrow()
  })

  it('takes a reset for the end', async () => {
    const { stream, remote } = await (await connectQuic(direction, 'stock')).open()
    const reading = readAll(stream)
    remote.send(bytes('half of it'))
    await until(() => remote.writeBufferLength === 0 && !remote.writableNeedsDrain)
    remote.abort(new Error('Reset'))

    // how much of it comes is a matter of chance
    expect(bytes('half of it').subarray(0, (await reading).byteLength)).toEqual(await reading)
    expect(stream.status).toBe('open')
  })

  it('may not hear that the connection was lost, else src/compat/quic/quic-streams.ts can go', async () => {
    const pair = await connectQuic(direction, 'stock')
    const opened: Stream[] = []

    for (let i = 0; i < 10; i++) {
      const { stream } = await pair.open()
      // nothing but the muxer tells them
      opened.push(stream)
    }

    const errors: unknown[] = []
    opened.forEach(stream => { stream.addEventListener('close', ({ error }) => { errors.push(error) }) })
    muxerOf(pair.connection).abort(new Error('Lost'))

    expect(errors.filter(error => error != null).length).toBeLessThan(10)
  })
})
