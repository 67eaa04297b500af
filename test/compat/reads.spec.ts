/**
 * What streams of stock libp2p do about a reader that is slow, and about a reset
 */
import { mplex } from '@libp2p/mplex'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isStockStream } from '../../src/compat/quic/stock-reads.ts'
import { isYamuxStream } from '../../src/compat/yamux-reads.ts'
import { receiveBulk, sendBulk } from '../../src/index.ts'
import { addressOf, createStockNode, stopNodes } from '../support/nodes.ts'
import { bytes, closed, readAll } from '../support/streams.ts'
import { turn } from '../support/wait.ts'
import type { NodeInit, TransportName } from '../support/nodes.ts'
import type { Stream } from '@libp2p/interface'

const HELD = '/held/1.0.0'
const KIB = 1024
const MIB = 1024 * KIB

/**
 * What is to be seen comes at once, or never
 */
const PATIENCE = 20_000

async function open (transport: TransportName, init: NodeInit = {}): Promise<{ outbound: Stream, remote: Stream }> {
  const [dialer, listener] = await Promise.all([createStockNode(undefined, init), createStockNode(transport, init)])
  const held = Promise.withResolvers<Stream>()

  onTestFinished(async () => stopNodes(dialer, listener))
  await listener.handle(HELD, stream => { held.resolve(stream) })

  const connection = await dialer.dial(addressOf(listener))
  const outbound = await connection.newStream(HELD)
  outbound.send(bytes('hello'))

  return { outbound, remote: await held.promise }
}

/**
 * What becomes of a stream that is paused, with a peer that sends all that it may
 */
async function pauseBefore (length: number, { outbound, remote }: { outbound: Stream, remote: Stream }): Promise<unknown> {
  const end = closed(remote)

  remote.pause()
  outbound.send(new Uint8Array(length))
  const { error } = await end

  return error
}

const tooMuch = expect.objectContaining({ name: 'StreamBufferError' })

describe('a stream of stock that is paused has its peer send more than it will hold, else src/compat/hold-reads.ts can go,', () => {
  it('over yamux, as its window does not depend on that, else src/compat/yamux-reads.ts can go', async () => {
    const streams = await open('tcp')

    // as 4 MiB are smaller than a window that has grown
    streams.remote.maxReadBufferLength = 128 * KIB
    expect(isYamuxStream(streams.remote)).toBe(true)
    expect(await pauseBefore(256 * KIB, streams)).toEqual(tooMuch)
  }, PATIENCE)

  it('over QUIC, as it goes on reading, else src/compat/quic/stock-reads.ts can go', async () => {
    const streams = await open('quic')

    expect(isStockStream(streams.remote)).toBe(true)
    expect(await pauseBefore(5 * MIB, streams)).toEqual(tooMuch)
  }, PATIENCE)

  it('over mplex, as it cannot tell the peer, else src/compat/paused-reads.ts can go', async () => {
    expect(await pauseBefore(5 * MIB, await open('tcp', { streamMuxers: [mplex()] }))).toEqual(tooMuch)
  }, PATIENCE)
})

describe('a stream of stock that is reset', () => {
  it('fails to be read over yamux', async () => {
    const { outbound, remote } = await open('tcp')
    const received = readAll(outbound)

    remote.abort(new Error('Enough'))
    await expect(received).rejects.toThrow(expect.objectContaining({ name: 'StreamResetError' }))
  }, PATIENCE)

  it('has come to its end over QUIC, else src/compat/quic/resets.ts can go', async () => {
    const { outbound, remote } = await open('quic')
    const received = readAll(outbound)

    remote.abort(new Error('Enough'))
    expect((await received).byteLength).toBe(0)
    expect(outbound.status).toBe('open')
  }, PATIENCE)
})

interface YamuxStream extends Stream {
  sendFrame(header: { type: number }, data?: unknown): boolean
  handleData(frame: unknown): void
}

const WINDOW_UPDATE = 1

/**
 * Counts the frames of data that a stream gets, and the window updates that it sends
 */
function countFrames (stream: Stream): { data: number, updates: number } {
  const counts = { data: 0, updates: 0 }
  const yamuxStream = stream as YamuxStream
  const { sendFrame, handleData } = yamuxStream

  yamuxStream.sendFrame = (header, data) => {
    counts.updates += header.type === WINDOW_UPDATE ? 1 : 0

    return sendFrame.call(stream, header, data)
  }
  yamuxStream.handleData = frame => {
    counts.data++
    handleData.call(stream, frame)
  }

  return counts
}

describe('a yamux stream', () => {
  const chunks = Array.from({ length: 1_024 }, () => new Uint8Array(16 * KIB))

  it('of stock sends a window update for each frame, else a part of src/compat/yamux-reads.ts can go', async () => {
    const { outbound, remote } = await open('tcp')
    const received = readAll(remote)
    const counts = countFrames(remote)

    for (const chunk of chunks) {
      outbound.send(chunk)
      await turn()
    }

    await Promise.all([outbound.close(), received])
    expect(counts.data).toBeGreaterThan(100)
    expect(counts.updates).toBeGreaterThanOrEqual(counts.data)
  }, PATIENCE)

  it('sends one for each half of its window when receiveBulk() reads it', async () => {
    const { outbound, remote } = await open('tcp')
    const counts = countFrames(remote)
    const received = (async () => {
      let length = 0

      for await (const { byteLength } of receiveBulk(remote)) {
        length += byteLength
      }

      return length
    })()

    await sendBulk(outbound, chunks)
    expect(await received).toBe('hello'.length + 16 * MIB)
    // a window is 256 KiB to begin with, grows to 3 MiB if the round trip is short, and the
    // FIN is one more
    expect(counts.updates).toBeLessThanOrEqual(16 * MIB / (128 * KIB) + 2)
    expect(counts.updates).toBeGreaterThan(5)
  }, PATIENCE)
})
