import { identify } from '@libp2p/identify'
import { byteStream } from '@libp2p/utils'
import { describe, expect, it } from 'vitest'
import { receiveBulk } from '../../src/index.ts'
import { bytesOf, digestOf, untilSteady } from '../support/bulk-data.ts'
import { addressOf } from '../support/nodes.ts'
import { digestOfStream, KIB, listen, MAX_IN_FLIGHT, MIB, Sending } from '../support/quic-sending.ts'
import { busiest, connectQuic, createQuicNode, DIRECTIONS, muxerOf, watchNativeReads } from '../support/quic-streams.ts'
import { areReplaced, bytes, closed, pattern } from '../support/streams.ts'
import { until } from '../support/wait.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { Direction, NativeRead, QuicMuxer } from '../support/quic-streams.ts'
import type { StreamOpenerInit } from '../../src/index.ts'
import type { Libp2p, Startable, Stream } from '@libp2p/interface'

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
