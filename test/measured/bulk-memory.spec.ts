/**
 * What a transfer holds is bounded by memory, and not only by the bytes that count for
 * the application: a peer may send each of them by itself
 */
import { mplex } from '@libp2p/mplex'
import { yamux } from '@libp2p/yamux'
import { Uint8ArrayList } from 'uint8arraylist'
import { describe, expect, it, onTestFinished } from 'vitest'
import { collectGarbage } from '../support/gc.ts'
import { PieceQueue } from '../../src/bulk/transfer/join-pieces.ts'
import { receiveBulk, sendBulk } from '../../src/index.ts'
import { bytesOf, digestOf, watchBuffered } from '../support/bulk-data.ts'
import { connectIdentified, createOpenerNode, createStockNode, stopNodes } from '../support/nodes.ts'
import { bytes, pattern } from '../support/streams.ts'
import { turn, until } from '../support/wait.ts'
import type { NodeInit } from '../support/nodes.ts'
import type { Connection, Stream } from '@libp2p/interface'

const BULK = '/bulk/1.0.0'
const KIB = 1024
const MIB = 1024 * KIB

/**
 * Three quarters of it are the smallest window of yamux
 */
const HIGH_WATER_MARK = 344 * KIB

interface Muxer {
  send(data: Uint8Array): boolean
}

type MuxedStream = Stream & { streamId: number, sendWindowCapacity?: number }

/**
 * How many bytes are held for what the function makes
 */
async function memoryOf (make: () => unknown): Promise<number> {
  const used = async (): Promise<number> => {
    for (let i = 0; i < 5; i++) {
      collectGarbage()
      await turn()
    }

    const { heapUsed, arrayBuffers } = process.memoryUsage()

    return heapUsed + arrayBuffers
  }

  const before = await used()
  const made = await make()
  const after = await used()

  expect(made).toBeDefined()

  return after - before
}

/**
 * Frames of one byte, in one piece
 */
function framesOf (stream: MuxedStream, count: number): Uint8Array {
  // a data frame of yamux, and MessageInitiator of mplex
  const header = stream.sendWindowCapacity == null
    ? [stream.streamId << 3 | 2, 1]
    : [0, 0, 0, 0, 0, 0, 0, stream.streamId, 0, 0, 0, 1]
  const frames = new Uint8Array(count * (header.length + 1))

  for (let i = 0; i < count; i++) {
    frames.set(header, i * (header.length + 1))
    frames[(i + 1) * (header.length + 1) - 1] = i
  }

  return frames
}

/**
 * Sends frames of one byte, as many as the peer takes, or so many
 */
async function sendTinyFrames (connection: Connection, outbound: MuxedStream, remote: Stream, most: number): Promise<number> {
  const { muxer } = connection as Connection & { muxer: Muxer }
  const buffered = watchBuffered(remote)
  let sent = 0

  while (sent < most) {
    const count = Math.min(4 * KIB, most - sent, outbound.sendWindowCapacity ?? Infinity)

    if (count > 0) {
      muxer.send(framesOf(outbound, count))
      sent += count

      if (outbound.sendWindowCapacity != null) {
        outbound.sendWindowCapacity -= count
      }
    }

    const total = sent
    await until(() => buffered.received === total)

    if (count === 0) {
      // any update of the window comes before this
      const arrived = outbound.readBufferLength
      remote.send(bytes('!'))
      await until(() => outbound.readBufferLength > arrived)

      if (outbound.sendWindowCapacity === 0) {
        break
      }
    }
  }

  return sent
}

async function open (muxer: typeof yamux | typeof mplex): Promise<{ connection: Connection, outbound: MuxedStream, remote: Stream }> {
  const init = { streamMuxers: [muxer()] } as NodeInit
  const [dialer, listener] = await Promise.all([createOpenerNode({}, init), createStockNode('tcp', init)])
  const inbound = Promise.withResolvers<Stream>()

  onTestFinished(async () => stopNodes(dialer, listener))
  await listener.handle(BULK, stream => { inbound.resolve(stream) })

  const connection = await connectIdentified(dialer, listener)
  const outbound = await connection.newStream(BULK) as MuxedStream

  return { connection, outbound, remote: await inbound.promise }
}

describe.each([['yamux', yamux], ['mplex', mplex]] as const)('a peer that sends one byte at a time over %s', (_, muxer) => {
  it.each([HIGH_WATER_MARK, 1])('does not make a slow reader with a watermark of %i bytes hold more than a few times as much memory', async highWaterMark => {
    const { connection, outbound, remote } = await open(muxer)
    const chunks = receiveBulk(remote, { highWaterMark })
    let sent = 0

    const held = await memoryOf(async () => {
      sent = await sendTinyFrames(connection, outbound, remote, HIGH_WATER_MARK)

      return chunks
    })

    // yamux takes no less than its smallest window
    expect(sent).toBeGreaterThan(240 * KIB)
    expect(held).toBeLessThan(4 * HIGH_WATER_MARK)

    await outbound.close()
    let read = 0
    let count = 0

    for await (const chunk of chunks) {
      expect(chunk[0]).toBe(read % (4 * KIB) % 256)
      read += chunk.byteLength
      count++
    }

    expect(read).toBe(sent)
    expect(count).toBeLessThan(20)
  }, 30_000)
})

describe('a reader over mplex, which cannot make the peer wait', () => {
  it('loses the stream when it is too far behind, and is told why', async () => {
    const { outbound, remote } = await open(mplex)
    const chunks = receiveBulk(remote)
    const buffered = watchBuffered(remote)
    const sending = sendBulk(outbound, bytesOf(64 * MIB)).catch(() => {})
    await until(() => remote.status !== 'open')

    // what it may hold, the read buffer of a stream, and a message
    expect(buffered.max).toBeLessThan(MIB + 4 * MIB + MIB)
    await expect(digestOf(chunks)).rejects.toMatchObject({ name: 'BulkTransferError', cause: { name: 'StreamBufferError' } })
    await sending
  })

  it('keeps it as long as it catches up', async () => {
    const { outbound, remote } = await open(mplex)
    const parts = Array.from({ length: 6 }, (_, i) => pattern(3 * MIB + i))
    let sent = 0
    let read = 0
    const hasCaughtUp = (): boolean => read === sent

    const sending = sendBulk(outbound, (async function * () {
      for (const part of parts) {
        sent += part.byteLength
        yield part
        await until(hasCaughtUp)
      }
    })())

    const digest = await digestOf(receiveBulk(remote), async bytes => { read = bytes })

    await sending
    expect(digest).toEqual(await digestOf(parts))
  })
})

describe('pieces that wait for a reader', () => {
  function fill (pieces: Iterable<Uint8Array>): PieceQueue {
    const queue = new PieceQueue()

    for (const piece of pieces) {
      queue.add(piece)
    }

    return queue
  }

  function * views (count: number, ...lengths: number[]): Generator<Uint8Array> {
    for (let i = 0; i < count; i++) {
      const large = new Uint8Array(64 * KIB).fill(i)

      for (const length of lengths) {
        yield large.subarray(1000, 1000 + length)
      }
    }
  }

  it('do not keep the memory that they are small parts of', async () => {
    expect(await memoryOf(() => fill(views(10_000, 1)))).toBeLessThan(MIB)
    expect(await memoryOf(() => fill(views(1000, 1, 1)))).toBeLessThan(MIB)
  })

  it('do not keep a block each if they come between large ones', async () => {
    const bytes = 200 * 16 * KIB

    function * between (): Generator<Uint8Array> {
      for (let i = 0; i < 200; i++) {
        yield * views(1, 1)
        yield * views(1, 1)
        yield new Uint8Array(16 * KIB)
      }
    }

    expect(await memoryOf(() => fill(between()))).toBeLessThan(1.5 * bytes)
  })

  it('are not copied if they are large, or if there is only one', () => {
    const queue = new PieceQueue()
    const large = new Uint8Array(16 * KIB)
    const small = new Uint8Array(64 * KIB).subarray(7, 9)

    queue.add([large, small])
    expect(queue.byteLength).toBe(16 * KIB + 2)
    expect(queue.take()).toBe(large)
    expect(queue.take()?.buffer).toBe(small.buffer)
    expect(queue.take()).toBeUndefined()
    expect(queue.byteLength).toBe(0)
  })

  it('come out in their order, whatever their sizes, and without writing to any of them', async () => {
    const lengths = [1, 2, 16_383, 16_384, 3, 0, 65_536, 65_535, 1, 5_000, 5_000, 60_000, 1, 1, 1]
    let seed = 1
    const source = Array.from({ length: 600 }, () => {
      seed = (seed * 48_271) % 2_147_483_647
      const length = lengths[seed % lengths.length] ?? 0

      // of Buffers, slice() does not copy
      return Buffer.from(pattern(length + 10)).subarray(seed % 10, seed % 10 + length)
    })
    const expected = await digestOf(source)
    const queue = new PieceQueue()
    const taken: Uint8Array[] = []

    source.forEach((piece, i) => {
      queue.add(i % 3 === 0 ? new Uint8ArrayList(piece) : piece)

      for (let n = i % 7; n > 4; n--) {
        taken.push(queue.take() ?? new Uint8Array())
      }
    })

    for (let piece = queue.take(); piece != null; piece = queue.take()) {
      taken.push(piece)
    }

    expect(await digestOf(taken)).toEqual(expected)
    expect(await digestOf(source)).toEqual(expected)
    expect(taken.every(({ byteLength }) => byteLength <= 65_536)).toBe(true)
  })
})

describe('chunks that wait to be sent', () => {
  it('do not take a block each if small ones come between large ones', async () => {
    const { outbound, remote } = await open(yamux)
    const { send } = outbound
    const large = pattern(16 * KIB)
    const chunks = Array.from({ length: 200 }, (_, i) => [large, Uint8Array.of(i)]).flat()
    const batches: Array<{ bytes: number, memory: number }> = []

    outbound.send = data => {
      const buffers = new Set([...data as Uint8ArrayList].map(({ buffer }) => buffer))

      buffers.delete(large.buffer)
      batches.push({ bytes: data.byteLength, memory: [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0) })

      return send.call(outbound, data)
    }

    const [digest] = await Promise.all([digestOf(receiveBulk(remote)), sendBulk(outbound, chunks)])

    expect(digest).toEqual(await digestOf(chunks))
    expect(batches[0]?.bytes).toBeGreaterThan(900 * KIB)
    expect(batches.every(({ memory }) => memory <= 128 * KIB)).toBe(true)
  })
})
