import { createReadStream } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { quic } from '@chainsafe/libp2p-quic'
import { InvalidParametersError } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { pipe } from 'it-pipe'
import { Uint8ArrayList } from 'uint8arraylist'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { BulkTransferError } from '../src/errors.ts'
import { receiveBulk } from '../src/bulk/transfer/receive-bulk.ts'
import { sendBulk } from '../src/bulk/transfer/send-bulk.ts'
import { bytesOf, digestOf, watchBuffered } from './support/bulk-data.ts'
import { ENDLESS, FAST, forkBulkListener } from './support/bulk-listener.ts'
import { BulkPair } from './support/bulk-pair.ts'
import { createOpenerNode, stopNodes, TRANSPORTS } from './support/nodes.ts'
import { bytes, pattern, readAll, replacedMethods } from './support/streams.ts'
import { turn, turns, until } from './support/wait.ts'
import type { BulkProgress } from '../src/bulk/transfer/report-progress.ts'
import type { BulkListener } from './support/bulk-listener.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Libp2p, Stream } from '@libp2p/interface'

const MIB = 1024 * 1024

/**
 * What the sender holds at most: the write buffer, a block of small chunks, and the
 * chunk that it could not pass on yet
 */
const MAX_SENDING = 4 * MIB + 128 * 1024

/**
 * What waits for a reader at most, over yamux with what is under way
 */
const MAX_RECEIVING = 4 * MIB

/**
 * What quinn holds: the send window of the one end and the receive window of the
 * other one, both 10 MB by default
 */
const MAX_NATIVE = 20_000_000 + 2 * MIB

const LISTENED_TO = ['message', 'remoteCloseWrite', 'close', 'drain', 'idle', 'end']

function listenersOf (stream: Stream): Record<string, number> {
  const target = stream as Stream & { listenerCount(type: string): number }

  return Object.fromEntries(LISTENED_TO.map(type => [type, target.listenerCount(type)]))
}

/**
 * The names of what the stream has and its class has not
 */
function addedTo (stream: object): string[] {
  const inherited = Object.getPrototypeOf(stream) as Record<string, unknown>

  return Object.entries(stream).filter(([name, value]) => inherited[name] !== value).map(([name]) => name)
}

/**
 * A signal that knows who listens
 */
function countedSignal (): { controller: AbortController, listeners(): number } {
  const controller = new AbortController()
  const { signal } = controller
  const listeners = new Set<unknown>()
  const { addEventListener, removeEventListener } = signal

  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners.add(args[1])
    addEventListener.apply(signal, args)
  }
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners.delete(args[1])
    removeEventListener.apply(signal, args)
  }

  return { controller, listeners: () => listeners.size }
}

/**
 * A source of which it is known how much was taken from it, and whether it was told
 * to stop
 */
class WatchedSource {
  taken = 0
  isStopped = false
  readonly #source: Iterable<Uint8Array>
  readonly #afterEach: () => Promise<unknown>

  constructor (source: Iterable<Uint8Array>, afterEach: () => Promise<unknown> = async () => {}) {
    this.#source = source
    this.#afterEach = afterEach
  }

  async * [Symbol.asyncIterator] (): AsyncGenerator<Uint8Array> {
    try {
      for (const chunk of this.#source) {
        this.taken += chunk.byteLength
        yield chunk
        await this.#afterEach()
      }
    } finally {
      this.isStopped = true
    }
  }
}

async function failureOf (transfer: Promise<unknown>): Promise<BulkTransferError> {
  const err = await transfer.then(() => { throw new Error('It did not fail') }, err => err)
  expect(err).toBeInstanceOf(BulkTransferError)

  return err
}

function toWebStream (source: Iterable<Uint8Array>): ReadableStream<Uint8Array> {
  return Readable.toWeb(Readable.from(source)) as ReadableStream<Uint8Array>
}

async function drop (source: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0

  for await (const chunk of source) {
    bytes += chunk.byteLength
  }

  return bytes
}

/**
 * Leaves the loop with the first chunk
 */
async function firstOf (source: AsyncIterable<Uint8Array>): Promise<Uint8Array | undefined> {
  let first: Uint8Array | undefined

  for await (const chunk of source) {
    first ??= chunk

    if (first.byteLength > 0) {
      break
    }
  }

  return first
}

describe.each(TRANSPORTS)('bulk data over %s', transport => {
  let pair: BulkPair

  beforeAll(async () => { pair = await BulkPair.start(transport) })
  afterEach(() => { pair.abortStreams() })
  afterAll(async () => pair.stop())

  it('takes data the other way, on a stream that was handed out before it was confirmed', async () => {
    const { outbound, arriving } = await pair.openOutbound()
    const receiving = digestOf(receiveBulk(outbound))
    await sendBulk(await arriving, bytesOf(20 * MIB))

    expect(await receiving).toStrictEqual(await digestOf(bytesOf(20 * MIB)))
    await outbound.close()
    expect(replacedMethods(outbound)).toEqual([])
  })

  it('takes data both ways at once', async () => {
    const { outbound, remote } = await pair.open()
    const expected = await digestOf(bytesOf(10 * MIB))
    const [there, back] = await Promise.all([
      digestOf(receiveBulk(remote)),
      digestOf(receiveBulk(outbound)),
      sendBulk(outbound, bytesOf(10 * MIB)),
      sendBulk(remote, bytesOf(10 * MIB))
    ])

    expect(there).toStrictEqual(expected)
    expect(back).toStrictEqual(expected)
  })

  it('reaches a stock reader, and reads from a stock writer', async () => {
    const { outbound, remote } = await pair.open()
    const [received] = await Promise.all([readAll(remote), sendBulk(outbound, bytesOf(3 * MIB))])
    const [answer] = await Promise.all([
      digestOf(receiveBulk(outbound)),
      (async () => {
        for (const chunk of bytesOf(3 * MIB)) {
          remote.send(chunk)
          await turn()
        }

        await remote.close()
      })()
    ])

    expect(await digestOf([received])).toStrictEqual(await digestOf(bytesOf(3 * MIB)))
    expect(answer).toStrictEqual(await digestOf(bytesOf(3 * MIB)))
  })

  it('reads what came, and ended, before anybody looked', async () => {
    const { outbound, remote } = await pair.open()
    await sendBulk(outbound, bytesOf(100_000))
    await until(() => remote.remoteWriteStatus === 'closed' && remote.readBufferLength === 100_000)

    expect(await digestOf(receiveBulk(remote))).toStrictEqual(await digestOf(bytesOf(100_000)))
  })

  it('reads a stream that was paused, and one that has only its end left', async () => {
    const { outbound, remote } = await pair.open()
    remote.pause()
    await sendBulk(outbound, bytesOf(100_000))
    await until(() => remote.remoteWriteStatus === 'closed' && remote.readBufferLength === 100_000)

    expect(await digestOf(receiveBulk(remote))).toStrictEqual(await digestOf(bytesOf(100_000)))
    expect(await drop(receiveBulk(remote))).toBe(0)
  })

  it('is a part of a pipe', async () => {
    const { outbound, remote } = await pair.open()
    const [, digest] = await Promise.all([
      pipe(
        () => bytesOf(5 * MIB),
        async function * (source: Iterable<Uint8Array>) {
          for (const chunk of source) {
            yield new Uint8ArrayList(chunk.subarray(0, 100), chunk.subarray(100))
          }
        },
        async source => sendBulk(outbound, source)
      ),
      pipe(receiveBulk(remote), async source => digestOf(source))
    ])

    expect(digest).toStrictEqual(await digestOf(bytesOf(5 * MIB)))
  })

  it('sends a file', async () => {
    const { outbound, remote } = await pair.open()
    const directory = await mkdtemp(join(tmpdir(), 'bulk-'))
    const data = pattern(3 * MIB + 11)

    try {
      await writeFile(join(directory, 'file'), data)
      const file = createReadStream(join(directory, 'file'))
      const [, digest] = await Promise.all([sendBulk(outbound, file), digestOf(receiveBulk(remote))])

      expect(digest).toStrictEqual(await digestOf([data]))
      expect(file.destroyed).toBe(true)
    } finally {
      await rm(directory, { recursive: true })
    }
  })

  it.each([
    ['that can be iterated', (source: ReadableStream<Uint8Array>) => source],
    ['that can only be read', (source: ReadableStream<Uint8Array>) => ({ getReader: () => source.getReader() }) as ReadableStream<Uint8Array>]
  ])('sends a Web stream %s, and cancels it', async (_, convert) => {
    const { outbound, remote } = await pair.open()
    const [, digest] = await Promise.all([
      sendBulk(outbound, convert(toWebStream(bytesOf(2 * MIB)))),
      digestOf(receiveBulk(remote))
    ])

    expect(digest).toStrictEqual(await digestOf(bytesOf(2 * MIB)))

    const cancelled = Promise.withResolvers<void>()
    const endless = new ReadableStream<Uint8Array>({
      pull: controller => { controller.enqueue(pattern(1000)) },
      cancel: () => { cancelled.resolve() }
    })
    const { outbound: second } = await pair.open()
    const sending = failureOf(sendBulk(second, convert(endless)))
    second.abort(new Error('no more'))

    await sending
    await cancelled.promise
  })

  it('sends what it has when the source takes its time', async () => {
    const { outbound, remote } = await pair.open()
    const sent = Promise.withResolvers<void>()
    const chunks = receiveBulk(remote)
    const sending = sendBulk(outbound, (async function * () {
      yield bytes('now')
      await sent.promise
      yield bytes('later')
    })())

    expect((await chunks.next()).value).toStrictEqual(bytes('now'))
    sent.resolve()
    expect((await chunks.next()).value).toStrictEqual(bytes('later'))
    expect((await chunks.next()).done).toBe(true)
    await sending
  })

  it('does not change chunks', async () => {
    const { outbound, remote } = await pair.open()
    const chunks = [pattern(10), pattern(100_000), pattern(20_000)]
    const before = await digestOf(chunks)
    await Promise.all([sendBulk(outbound, chunks), drop(receiveBulk(remote))])

    expect(await digestOf(chunks)).toStrictEqual(before)
  })

  it('writes large batches of small chunks, unless the stream would copy each into one piece', async () => {
    const { outbound, remote } = await pair.open()
    const { send } = outbound
    const batches: Array<{ bytes: number, pieces: number }> = []

    outbound.send = data => {
      batches.push({ bytes: data.byteLength, pieces: data instanceof Uint8Array ? 1 : [...data].length })
      return send.call(outbound, data)
    }

    await Promise.all([sendBulk(outbound, bytesOf(2 * MIB)), drop(receiveBulk(remote))])

    if (transport === 'quic') {
      expect(batches).toStrictEqual(Array(32).fill({ bytes: 65_536, pieces: 1 }))
    } else {
      // the connection may have room again before a batch is as large as it gets
      expect(batches[0]).toStrictEqual({ bytes: 983_040, pieces: 15 })
      expect(batches.length).toBeLessThanOrEqual(10)
    }
  })

  it('holds a few MiB for a slow reader, and no more', async () => {
    const { outbound, remote } = await pair.open()
    const source = new WatchedSource(bytesOf(64 * MIB))
    const buffered = watchBuffered(remote)
    const chunks = buffered.read(receiveBulk(remote))
    const sending = sendBulk(outbound, source)
    let read = 0
    let held = 0
    let maxWriteBuffer = 0

    async function look (): Promise<void> {
      await turns(5)

      held = Math.max(held, source.taken - read)
      maxWriteBuffer = Math.max(maxWriteBuffer, outbound.writeBufferLength)
    }

    for await (const chunk of chunks) {
      const before = read
      read += chunk.byteLength

      if (before < 16 * MIB && read >= 16 * MIB) {
        // the reader stops reading until so much waits for it, which is less than what
        // the peer is held at
        await until(() => buffered.waiting > MIB / 2)
      }

      if (Math.floor(before / 65_536) !== Math.floor(read / 65_536)) {
        await look()
      }
    }

    await sending

    expect(read).toBe(64 * MIB)
    expect(buffered.max).toBeGreaterThan(MIB / 2)
    expect(buffered.max).toBeLessThanOrEqual(MAX_RECEIVING)
    expect(maxWriteBuffer).toBeGreaterThan(0)
    expect(maxWriteBuffer).toBeLessThanOrEqual(4 * MIB)
    expect(held).toBeLessThanOrEqual(MAX_SENDING + MAX_RECEIVING + (transport === 'quic' ? MAX_NATIVE : 0))
  })

  it('keeps to the watermarks that it is given', async () => {
    const { outbound, remote } = await pair.open()
    outbound.maxWriteBufferLength = 100_000

    const source = new WatchedSource(bytesOf(4 * MIB))
    const buffered = watchBuffered(remote)
    const sending = sendBulk(outbound, source, { highWaterMark: MIB })
    let maxWriteBuffer = 0
    let read = 0

    for await (const chunk of buffered.read(receiveBulk(remote, { highWaterMark: 256 * 1024 }))) {
      read += chunk.byteLength
      maxWriteBuffer = Math.max(maxWriteBuffer, outbound.writeBufferLength)
      await turn()
    }

    await sending
    expect(read).toBe(4 * MIB)
    expect(buffered.max).toBeLessThanOrEqual(64 * 1024 + 256 * 1024)
    expect(maxWriteBuffer).toBeLessThanOrEqual(50_000)
  })

  it('reports progress that grows, and ends with the total', async () => {
    const { outbound, remote } = await pair.open()
    const sent: BulkProgress[] = []
    const received: BulkProgress[] = []
    const total = 10 * MIB + 3

    await Promise.all([
      sendBulk(outbound, bytesOf(total, 1000), { onProgress: evt => { sent.push(evt.detail) } }),
      drop(receiveBulk(remote, { onProgress: evt => { received.push(evt.detail) } }))
    ])

    for (const progress of [sent, received]) {
      expect(progress.at(-1)?.bytes).toBe(total)
      expect(progress.length).toBeGreaterThanOrEqual(2)
      expect(progress.length).toBeLessThanOrEqual(12)
      expect(progress.map(({ bytes }) => bytes)).toEqual(progress.map(({ bytes }) => bytes).toSorted((a, b) => a - b))
      expect(progress.every(({ rate }) => rate > 0 && Number.isFinite(rate))).toBe(true)
    }
  })

  it('leaves no listeners and nothing else behind', async () => {
    const { outbound, remote } = await pair.open()
    // the echo is in, so that nothing of the negotiation is left
    remote.send(bytes('hello'))
    await until(() => outbound.readBufferLength === 5)

    const before = [listenersOf(outbound), listenersOf(remote), addedTo(outbound), addedTo(remote)]
    const maxWindow = (remote as { maxStreamWindowSize?: number }).maxStreamWindowSize
    const { log } = remote
    const signals = [countedSignal(), countedSignal()]

    await Promise.all([
      sendBulk(outbound, bytesOf(3 * MIB), { signal: signals[0]?.controller.signal }),
      drop(receiveBulk(remote, { signal: signals[1]?.controller.signal }))
    ])

    expect([listenersOf(outbound), listenersOf(remote), addedTo(outbound), addedTo(remote)]).toStrictEqual(before)
    expect((remote as { maxStreamWindowSize?: number }).maxStreamWindowSize).toBe(maxWindow)
    expect(remote.log).toBe(log)
    expect(signals.map(signal => signal.listeners())).toEqual([0, 0])
  })

  describe('stops', () => {
    it('before it begins when the signal is aborted', async () => {
      const { outbound, remote } = await pair.open()
      const source = new WatchedSource(bytesOf(MIB))
      const signal = AbortSignal.abort()
      const err = await failureOf(sendBulk(outbound, source, { signal }))

      expect(err).toMatchObject({ name: 'AbortError', bytes: 0 })
      expect(err.cause).toBe(signal.reason)
      expect(source.taken).toBe(0)
      expect(outbound.status).toBe('aborted')

      const reading = await failureOf(drop(receiveBulk(remote, { signal })))
      expect(reading).toMatchObject({ name: 'AbortError', bytes: 0 })
      expect(reading.cause).toBe(signal.reason)
    })

    it('when the signal is aborted while it waits for the source', async () => {
      const { outbound } = await pair.open()
      const { controller, listeners } = countedSignal()
      const waiting = Promise.withResolvers<void>()
      let isStopped = false
      const source = {
        [Symbol.asyncIterator]: () => ({
          next: async () => {
            waiting.resolve()
            return new Promise<IteratorResult<Uint8Array>>(() => {})
          },
          return: async () => {
            isStopped = true
            return { done: true as const, value: undefined }
          }
        })
      }
      const sending = failureOf(sendBulk(outbound, source, { signal: controller.signal }))
      await waiting.promise
      const reason = new Error('enough')
      controller.abort(reason)

      const err = await sending
      expect(err).toMatchObject({ name: 'Error', bytes: 0 })
      expect(err.cause).toBe(reason)
      await until(() => isStopped)
      expect(outbound.status).toBe('aborted')
      expect(listeners()).toBe(0)
    })

    it('when the signal is aborted while it waits for the stream to drain', async () => {
      const { outbound, remote } = await pair.open()
      const { controller, listeners } = countedSignal()
      const source = new WatchedSource(bytesOf(Infinity))
      const before = listenersOf(outbound)
      // nobody reads what this receives
      const chunks = receiveBulk(remote)
      const sending = failureOf(sendBulk(outbound, source, { signal: controller.signal }))
      await until(() => outbound.writeBufferLength > 0 && source.taken > MIB)
      controller.abort()
      const err = await sending

      expect(err.name).toBe('AbortError')
      expect(err.bytes).toBeGreaterThan(0)
      expect(err.bytes).toBeLessThan(source.taken)
      expect(outbound.status).toBe('aborted')
      await until(() => source.isStopped)
      expect(listeners()).toBe(0)
      expect(listenersOf(outbound).drain).toBeLessThanOrEqual(before.drain ?? 0)

      expect((await failureOf(drop(chunks))).bytes).toBeLessThanOrEqual(err.bytes)
    })

    it('when somebody else closes the stream while it waits for the peer to take more', async () => {
      const { outbound, remote } = await pair.open()
      // nobody reads what this receives
      const chunks = receiveBulk(remote)
      const source = new WatchedSource(bytesOf(Infinity))
      const sending = failureOf(sendBulk(outbound, source))
      await until(() => outbound.writeBufferLength > 0 && source.taken > MIB)

      outbound.close().catch(() => {})
      // what the peer has got may be all that there is, for all that it knows
      const receiving = drop(chunks).catch(() => {})

      const err = await sending
      expect(err).toMatchObject({ name: 'BulkTransferError' })
      expect(err.cause).toHaveProperty('name', 'StreamStateError')
      expect(outbound.status).toBe('aborted')
      await receiving
    })

    it('when the signal is aborted while it closes the stream', async () => {
      const { outbound } = await pair.open()
      const { controller } = countedSignal()
      const closing = Promise.withResolvers<void>()
      outbound.close = async () => {
        closing.resolve()
        return new Promise(() => {})
      }
      const sending = failureOf(sendBulk(outbound, bytesOf(1000), { signal: controller.signal }))
      await closing.promise
      controller.abort()

      expect(await sending).toMatchObject({ name: 'AbortError' })
      expect(outbound.status).toBe('aborted')
    })

    it('when the source throws', async () => {
      const { outbound, remote } = await pair.open()
      const cause = new Error('the disk is broken')
      let received = 0
      const receiving = failureOf((async () => {
        for await (const chunk of receiveBulk(remote)) {
          received += chunk.byteLength
        }
      })())
      const err = await failureOf(sendBulk(outbound, (async function * () {
        yield * bytesOf(MIB)
        await until(() => received === MIB)
        throw cause
      })()))

      expect(err).toMatchObject({ name: 'BulkTransferError', bytes: MIB })
      expect(err.cause).toBe(cause)
      expect(outbound.status).toBe('aborted')
      expect((await receiving).bytes).toBeLessThanOrEqual(MIB)
    })

    it('when the source throws an error of bad parameters, or a stream that is read already', async () => {
      const cause = new InvalidParametersError('No such file')
      const first = await pair.open()
      const err = await failureOf(sendBulk(first.outbound, (function * () {
        yield bytes('fine')
        throw cause
      })()))
      expect(err).toMatchObject({ name: 'BulkTransferError', cause })
      expect(first.outbound.status).toBe('aborted')

      for (const convert of [(source: ReadableStream<Uint8Array>) => source, (source: ReadableStream<Uint8Array>) => ({ getReader: () => source.getReader() }) as ReadableStream<Uint8Array>]) {
        const { outbound } = await pair.open()
        const locked = toWebStream(bytesOf(1000))
        locked.getReader()

        expect(await failureOf(sendBulk(outbound, convert(locked)))).toMatchObject({ name: 'BulkTransferError', bytes: 0, cause: { name: 'TypeError' } })
        expect(outbound.status).toBe('aborted')
      }
    })

    it('when the peer resets the stream', async () => {
      const { outbound, remote } = await pair.open()
      const source = new WatchedSource(bytesOf(Infinity))
      const chunks = receiveBulk(remote)
      const sending = failureOf(sendBulk(outbound, source))
      await chunks.next()
      remote.abort(new Error('no thanks'))
      const err = await sending

      expect(err).toMatchObject({ name: 'BulkTransferError' })
      expect(err.bytes).toBeGreaterThan(0)
      expect(err.message).toContain(String(err.bytes))
      await until(() => source.isStopped)
      expect((await failureOf(drop(chunks))).bytes).toBeLessThanOrEqual(err.bytes)
    })

    it('reading when the peer resets the stream, which is not an end', async () => {
      const { outbound, remote } = await pair.open()
      const before = listenersOf(remote)
      const receiving = failureOf(drop(receiveBulk(remote)))

      for (const chunk of bytesOf(100_000, 1000)) {
        outbound.send(chunk)
      }

      const arrived = watchBuffered(remote)
      await until(() => arrived.received > 0)
      outbound.abort(new Error('changed my mind'))
      const err = await receiving

      expect(err.name).toBe('BulkTransferError')
      expect(err.bytes).toBeGreaterThanOrEqual(1)
      expect(err.bytes).toBeLessThanOrEqual(100_000)
      expect(listenersOf(remote).message).toBe(before.message)
      expect(remote.status).toBeOneOf(['aborted', 'reset'])
    })

    it('reading when the signal is aborted, whatever has arrived', async () => {
      const { outbound, remote } = await pair.open()
      const { controller, listeners } = countedSignal()
      const chunks = receiveBulk(remote, { signal: controller.signal })
      const sending = failureOf(sendBulk(outbound, bytesOf(Infinity)))
      const first = await chunks.next()
      controller.abort()

      const err = await failureOf(chunks.next())
      expect(err).toMatchObject({ name: 'AbortError', bytes: (first.value as Uint8Array).byteLength })
      expect(err.cause).toBe(controller.signal.reason)
      expect(remote.status).toBe('aborted')
      expect(listeners()).toBe(0)
      await sending
    })

    it('the peer when the reader leaves early', async () => {
      const { outbound, remote } = await pair.open()
      const before = listenersOf(remote)
      const sending = failureOf(sendBulk(outbound, bytesOf(Infinity)))

      expect((await firstOf(receiveBulk(remote)))?.byteLength).toBeGreaterThan(0)

      expect((await sending).bytes).toBeGreaterThan(0)
      expect(listenersOf(remote).message).toBe(before.message)
      expect(listenersOf(remote).close).toBeLessThanOrEqual(before.close ?? 0)
    })

    it('the peer when the reader leaves without having begun, or while it waits', async () => {
      const first = await pair.open()
      await receiveBulk(first.remote).return()
      expect(first.remote.status).toBe('aborted')

      const second = await pair.open()
      const chunks = receiveBulk(second.remote)
      const next = chunks.next()
      await chunks.return()
      expect(await next).toStrictEqual({ done: true, value: undefined })
      expect(second.remote.status).toBe('aborted')
    })

    it('nothing when the reader leaves after the end has arrived', async () => {
      const { outbound, remote } = await pair.open()
      await sendBulk(outbound, bytesOf(200_000))
      await until(() => remote.remoteWriteStatus === 'closed')

      expect((await firstOf(receiveBulk(remote)))?.byteLength).toBeGreaterThan(0)

      expect(remote.status).toBe('open')
      const answer = drop(receiveBulk(outbound))
      await sendBulk(remote, [bytes('thanks')])
      expect(await answer).toBe(6)
    })

    it('when onProgress throws', async () => {
      const { outbound, remote } = await pair.open()
      const cause = new Error('the screen is broken')
      const onProgress = (): void => { throw cause }
      const receiving = failureOf(drop(receiveBulk(remote, { onProgress })))
      const sending = failureOf(sendBulk(outbound, bytesOf(Infinity), { onProgress }))

      expect((await Promise.all([sending, receiving])).some(err => err.cause === cause)).toBe(true)
    })

    it('at once at what is no data', async () => {
      for (const chunk of ['text', 5, null, new ArrayBuffer(8)] as never[]) {
        const { outbound } = await pair.open()

        await expect(sendBulk(outbound, [bytes('fine'), chunk])).rejects.toMatchObject({ name: 'InvalidParametersError' })
        expect(outbound.status).toBe('aborted')
      }
    })

    it('before it begins at a source or an option that is not one', async () => {
      const { outbound, remote } = await pair.open()

      for (const source of [undefined, null, 'text', 5, {}, pattern(10)]) {
        await expect(sendBulk(outbound, source as never)).rejects.toMatchObject({ name: 'InvalidParametersError' })
      }

      for (const highWaterMark of [0, -1, 1.5, NaN, '1' as never]) {
        await expect(sendBulk(outbound, [], { highWaterMark })).rejects.toMatchObject({ name: 'InvalidParametersError' })
        expect(() => receiveBulk(remote, { highWaterMark })).toThrow(expect.objectContaining({ name: 'InvalidParametersError' }))
      }

      expect([outbound.status, remote.status]).toEqual(['open', 'open'])
    })

    it('at a stream that was closed before', async () => {
      const { outbound } = await pair.open()
      await outbound.close()

      expect(await failureOf(sendBulk(outbound, []))).toMatchObject({ bytes: 0 })
      expect(await failureOf(drop(receiveBulk(outbound)))).toMatchObject({ bytes: 0 })
    })
  })
})

describe.each(['tcp', 'quic', 'ws'] as const)('bulk data over a connection by %s that is lost', transport => {
  let dialer: Libp2p<OpenerServices>
  let listener: BulkListener

  beforeEach(async () => {
    // that a peer is gone is noticed after this time over QUIC, by default 10 seconds
    dialer = await createOpenerNode({}, { transports: [tcp(), quic({ maxIdleTimeout: 2_000, keepAliveInterval: 500 }), webSockets()] })
    listener = await forkBulkListener(transport)
  })

  afterEach(async () => {
    await stopNodes(dialer)
  })

  it('is not taken for sent when the peer is killed', async () => {
    const source = new WatchedSource(bytesOf(Infinity))
    const stream = await dialer.services.streamOpener.newStream(listener.addr, FAST)
    const sending = failureOf(sendBulk(stream, source))
    await until(() => source.taken > 16 * MIB)
    await listener.kill()
    const err = await sending

    expect(err.name).toBe('BulkTransferError')
    expect(err.bytes).toBeGreaterThan(8 * MIB)
    expect(err.bytes).toBeLessThanOrEqual(source.taken)
    await until(() => source.isStopped)
  })

  it('is not taken for complete when the peer is killed', async () => {
    const stream = await dialer.services.streamOpener.newStream(listener.addr, ENDLESS)
    const chunks = receiveBulk(stream)
    let read = 0

    while (read < 8 * MIB) {
      read += (await chunks.next()).value?.byteLength ?? 0
    }

    await listener.kill()
    const err = await failureOf(drop(chunks))

    expect(err.name).toBe('BulkTransferError')
    expect(err.bytes).toBeGreaterThanOrEqual(read)
  })

  it('is not taken for complete when this end closes the connection', async () => {
    const stream = await dialer.services.streamOpener.newStream(listener.addr, ENDLESS)
    const chunks = receiveBulk(stream)
    await chunks.next()
    const [connection] = dialer.getConnections()
    await connection?.close()

    expect((await failureOf(drop(chunks))).name).toBe('BulkTransferError')
    await listener.stop()
  })
})
