/**
 * Whatever rejects, rejects with an Error - although applications abort with whatever
 * they like, and libp2p rejects with events
 */
import { StreamCloseEvent, StreamResetError, StreamResetEvent } from '@libp2p/interface'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { BulkTransferError, receiveBulk, sendBulk } from '../src/index.ts'
import { bytesOf, digestOf } from './support/bulk-data.ts'
import { startBulkNodes, startBulkOpener, startSilentListener } from './support/bulk-nodes.ts'
import { createOpenerNode, stopNodes } from './support/nodes.ts'
import { handleRaw } from './support/raw-listener.ts'
import { SITE_TRANSPORTS } from './support/site.ts'
import { ECHO } from './support/streams.ts'
import { turns, until } from './support/wait.ts'
import type { StreamOpener } from '../src/index.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Site } from './support/site.ts'
import type { Libp2p, Stream } from '@libp2p/interface'

const MUTE = '/mute/1.0.0'

/**
 * What signals are aborted with
 */
const REASONS: unknown[] = ['enough', null, 0, Symbol('enough'), Object.create(null), { toString () { throw new Error('No') } }]

let site: Site
let dialer: Libp2p<OpenerServices>
let opener: StreamOpener

beforeEach(async () => {
  ({ site, dialer, opener } = await startBulkNodes())
})

async function failureOf (call: Promise<unknown>): Promise<Error> {
  const err = await call.then(() => { throw new Error('It did not fail') }, (err: unknown) => err)
  expect(err).toBeInstanceOf(Error)

  return err as Error
}

/**
 * Aborts with each of the reasons, before the call and when it waits
 */
async function abortAll (call: (signal: AbortSignal) => Promise<unknown>, waits: () => Promise<unknown>, reasons = REASONS): Promise<void> {
  for (const reason of reasons) {
    const before = await failureOf(call(AbortSignal.abort(reason)))
    expect(before).toMatchObject({ name: 'AbortError', cause: reason })

    const controller = new AbortController()
    const failure = failureOf(call(controller.signal))
    await waits()
    controller.abort(reason)
    expect(await failure).toMatchObject({ name: 'AbortError', cause: reason })
  }
}

describe('a signal that is aborted with what is not an Error', () => {
  it('rejects a dial with an Error', async () => {
    const silent = await startSilentListener()
    const waits = async (): Promise<void> => until(() => silent.sockets.size > 0)

    await abortAll(async signal => opener.openBulkStream(silent.addr, ECHO, { signal }), waits)
    await abortAll(async signal => opener.openBulkSession(silent.addr, ECHO, { signal }), waits)
  })

  it('rejects the opening of a stream with an Error', async () => {
    // what the peer is known to speak would not be waited for
    const node = await createOpenerNode({ negotiation: 'full' })
    const { streamOpener: opener } = node.services
    let asked = 0

    onTestFinished(async () => stopNodes(node))
    await handleRaw(site.node, MUTE, () => { asked++ })

    const waits = async (): Promise<void> => {
      const before = asked
      await until(() => asked > before)
    }

    const session = await opener.openBulkSession(site.relays.tcp.addr, MUTE)
    const reasons = REASONS.filter(reason => reason !== null)

    await abortAll(async signal => opener.openBulkStream(site.relays.tcp.addr, MUTE, { signal }), waits, reasons)
    await abortAll(async signal => session.openStream({ signal }), waits, reasons)
    await session.close()
  })

  it('rejects a transfer with an Error', async () => {
    const open = async (): Promise<Stream> => (await opener.openBulkStream(site.relays.tcp.addr, ECHO)).stream
    const waits = async (): Promise<void> => {
      await turns(10)
    }

    await abortAll(async signal => sendBulk(await open(), (async function * () { await new Promise(() => {}) })(), { signal }), waits)
    await abortAll(async signal => digestOf(receiveBulk(await open(), { signal })), waits)
  })
})

describe('an event that libp2p rejects with', () => {
  it.each([
    ['the error that it has', new StreamResetEvent(new StreamResetError()), 'StreamResetError'],
    ['one that says what it says', new StreamCloseEvent(), 'StreamStateError']
  ])('becomes %s', async (_, event, name) => {
    const bulk = startBulkOpener(dialer, async () => { throw event })

    expect(await failureOf(bulk.openBulkStream(site.addrs, ECHO))).toHaveProperty('name', name)

    const session = await bulk.openBulkSession(site.addrs, ECHO)
    expect(await failureOf(session.openStream())).toHaveProperty('name', name)
    await session.close()

    const { stream } = await opener.openBulkStream(site.addrs, ECHO)
    stream.close = async () => { throw event }
    const err = await failureOf(sendBulk(stream, bytesOf(1000)))
    expect(err).toMatchObject({ name: 'BulkTransferError', cause: { name } })
    await bulk.stop()
  })

  it.each(SITE_TRANSPORTS)('is not what comes of a reset over %s, whenever it comes', async transport => {
    let inbound = Promise.withResolvers<Stream>()
    await site.node.handle('/bulk/1.0.0', stream => { inbound.resolve(stream) })

    for (let after = 0; after < 40; after++) {
      inbound = Promise.withResolvers()
      const { stream } = await opener.openBulkStream(site.relays[transport].addr, '/bulk/1.0.0', { transport })
      const sending = sendBulk(stream, bytesOf(600_000)).catch((err: unknown) => err)
      const remote = await inbound.promise

      await turns(after)

      remote.abort(new Error('No thanks'))
      const outcome = await sending

      if (outcome instanceof Error) {
        expect(outcome).toBeInstanceOf(BulkTransferError)
        expect(outcome.cause).toBeInstanceOf(Error)
      } else {
        expect(outcome).toMatchObject({ bytes: 600_000 })
      }
    }
  })
})
