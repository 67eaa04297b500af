/**
 * A transfer does not keep others from having their turn of the event loop, however
 * little it moves at a time. Counted are turns for so many bytes, and not time.
 */
import { Uint8ArrayList } from 'uint8arraylist'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { receiveBulk, sendBulk } from '../src/index.ts'
import { bytesOf, digestOf } from './support/bulk-data.ts'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, stopNodes, TRANSPORTS } from './support/nodes.ts'
import { pattern } from './support/streams.ts'
import type { SendBulkOptions } from '../src/index.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Libp2p, Stream } from '@libp2p/interface'

const BULK = '/bulk/1.0.0'

/**
 * Chunks, or frames, that go by in one turn
 */
const MAX_STEPS = 256

/**
 * Counts the turns of the event loop while something goes on
 */
async function turnsDuring (goesOn: Promise<unknown>): Promise<number> {
  let turns = 0
  let isOver = false

  const turn = (): void => {
    if (!isOver) {
      turns++
      setImmediate(turn)
    }
  }

  turn()

  try {
    await goesOn
  } finally {
    isOver = true
  }

  return turns
}

/**
 * Chunks that are all there at once
 */
function chunksOf (count: number, size: number): Uint8Array[] {
  const chunk = pattern(size)

  return Array.from({ length: count }, () => chunk)
}

async function * inMicrotasks (chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield * chunks
}

const TRANSFERS: Array<[string, number, () => Parameters<typeof sendBulk>[1], SendBulkOptions]> = [
  ['with a watermark of one byte', 5000, () => [pattern(5000)], { highWaterMark: 1 }],
  ['with a small watermark, from a huge chunk', 5000, () => [pattern(5000 * 300)], { highWaterMark: 300 }],
  ['from tiny chunks that are at hand', 100_000, () => chunksOf(100_000, 1), {}],
  ['from tiny chunks that a generator yields', 50_000, () => inMicrotasks(chunksOf(50_000, 3)), {}],
  ['from tiny pieces in one chunk', 50_000, () => [new Uint8ArrayList(...chunksOf(50_000, 2))], {}],
  ['from empty chunks', 50_000, () => chunksOf(50_000, 0), {}]
]

describe.each(TRANSPORTS)('the event loop during a transfer over %s', transport => {
  let dialer: Libp2p<OpenerServices>
  let listener: Libp2p
  let inbound: PromiseWithResolvers<Stream>

  beforeAll(async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(BULK, stream => { inbound.resolve(stream) })
    await connectIdentified(dialer, listener)
  })

  beforeEach(() => { inbound = Promise.withResolvers() })
  afterAll(async () => stopNodes(dialer, listener))

  it.each(TRANSFERS)('goes on turning while data is sent %s', async (_, steps, source, options) => {
    const stream = await dialer.services.streamOpener.newStream(addressOf(listener), BULK)
    const receiving = inbound.promise.then(async remote => digestOf(receiveBulk(remote)))
    const turns = await turnsDuring(sendBulk(stream, source(), options))

    expect(turns).toBeGreaterThan(steps / MAX_STEPS)
    await receiving
  })

  it('goes on turning while data is received with a watermark of one byte', async () => {
    const stream = await dialer.services.streamOpener.newStream(addressOf(listener), BULK)
    const sending = sendBulk(stream, bytesOf(2 * 1024 * 1024, 1000), { highWaterMark: 4096 })
    const remote = await inbound.promise
    const turns = await turnsDuring(digestOf(receiveBulk(remote, { highWaterMark: 1 })))

    expect(turns).toBeGreaterThan(2 * 1024 * 1024 / 4096 / MAX_STEPS)
    await sending
  })

  it('lets a transfer that never ends be aborted, also if it does not get anywhere', async () => {
    const stream = await dialer.services.streamOpener.newStream(addressOf(listener), BULK)
    const controller = new AbortController()
    const nothing = new Uint8Array(0)

    const sending = sendBulk(stream, (function * () {
      while (true) {
        yield nothing
      }
    })(), { signal: controller.signal })
    setTimeout(() => { controller.abort() }, 1)

    await expect(sending).rejects.toMatchObject({ name: 'AbortError', bytes: 0 })
  })
})
