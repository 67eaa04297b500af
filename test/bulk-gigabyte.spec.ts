import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { sendBulk } from '../src/bulk/transfer/send-bulk.ts'
import { BulkTransferError } from '../src/errors.ts'
import { bytesOf, digestOf } from './support/bulk-data.ts'
import { FAST, forkBulkListener, PAUSE_UNTIL, SLOW } from './support/bulk-listener.ts'
import { createOpenerNode, stopNodes } from './support/nodes.ts'
import { rounds } from './support/rounds.ts'
import { cut } from './support/site.ts'
import { readAll } from './support/streams.ts'
import type { BulkConnections, BulkSession, BulkStream } from '../src/bulk/index.ts'
import type { BulkDigest } from './support/bulk-data.ts'
import type { BulkListener } from './support/bulk-listener.ts'
import type { OpenerServices, TransportName } from './support/nodes.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

// of whole mebibytes, so that it can be divided
const GIGABYTE = rounds(1024, 32) * 1024 * 1024

/**
 * What may wait for a reader by default
 */
const HIGH_WATER_MARK = 4 * 1024 * 1024

/**
 * What each stream of a session carries of it
 */
const STREAMS = 4
const PART = GIGABYTE / STREAMS

const TIMEOUT = 10 * 60 * 1000

const digest = digestOf(bytesOf(GIGABYTE))
const digestOfPart = digestOf(bytesOf(PART))

function * killing (connection: Connection): Generator<Uint8Array> {
  let sent = 0

  for (const chunk of bytesOf(PART)) {
    yield chunk
    sent += chunk.byteLength

    if (sent >= PART / 2) {
      cut(connection)
    }
  }
}

async function * lasting (until: Promise<void>): AsyncGenerator<Uint8Array> {
  yield * bytesOf(PART)
  await until
}

describe.each<TransportName>(['tcp', 'quic', 'ws'])('a gigabyte over %s', transport => {
  let dialer: Libp2p<OpenerServices>
  let listener: BulkListener

  beforeAll(async () => {
    listener = await forkBulkListener(transport)
  })

  beforeEach(async () => {
    dialer = await createOpenerNode()
  })

  afterEach(async () => stopNodes(dialer))
  afterAll(async () => listener.stop())

  it.each([
    ['fast', FAST, 0],
    ['slow', SLOW, PAUSE_UNTIL]
  ])('reaches a %s reader unharmed, and no more of it waits than may', async (_, protocol, waiting) => {
    const stream = await dialer.services.streamOpener.newStream(listener.addr, protocol)
    const { bytes } = await sendBulk(stream, bytesOf(GIGABYTE))
    const { buffered, ...received }: BulkDigest = JSON.parse(new TextDecoder().decode(await readAll(stream)))

    expect(bytes).toBe(GIGABYTE)
    expect(received).toStrictEqual(await digest)
    expect(buffered).toBeGreaterThanOrEqual(waiting)
    expect(buffered).toBeLessThanOrEqual(HIGH_WATER_MARK)
  }, TIMEOUT)

  async function openSession (protocol: string, connections: BulkConnections): Promise<BulkSession> {
    return dialer.services.streamOpener.openBulkSession(listener.addr, protocol, { transport, connections, fallback: 'none', dialTimeout: TIMEOUT })
  }

  async function openAll (session: BulkSession): Promise<BulkStream[]> {
    return Promise.all(Array.from({ length: STREAMS }, async () => session.openStream()))
  }

  async function expectPart (stream: Stream, chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array> = bytesOf(PART)): Promise<void> {
    const { bytes } = await sendBulk(stream, chunks)
    const { buffered, ...received }: BulkDigest = JSON.parse(new TextDecoder().decode(await readAll(stream)))

    expect(bytes).toBe(PART)
    expect(received).toStrictEqual(await digestOfPart)
    expect(buffered).toBeLessThanOrEqual(HIGH_WATER_MARK)
  }

  it.each([
    ['shared', 1],
    ['per-stream', STREAMS]
  ] as const)('reaches slow readers unharmed in a session whose connections are %s', async (connections, count) => {
    const session = await openSession(SLOW, connections)
    const streams = await openAll(session)

    expect(session.connections).toHaveLength(count)
    await Promise.all(streams.map(async ({ stream }) => expectPart(stream)))
    expect(session.bytesSent).toBe(GIGABYTE)
    expect(await session.close()).toBe(count)
  }, TIMEOUT)

  it('loses only what was on a connection that is killed half-way, which is said and can be sent again', async () => {
    const session = await openSession(FAST, 'per-stream')
    const [killed, ...others] = await openAll(session)
    const { stream, connection } = killed as BulkStream

    // none of their connections is free before that of the lost one is replaced
    const replaced = Promise.withResolvers<void>()
    const rest = Promise.all(others.map(async ({ stream }) => expectPart(stream, lasting(replaced.promise))))
    const err = await sendBulk(stream, killing(connection)).catch(err => err)

    expect(err).toBeInstanceOf(BulkTransferError)
    expect(err.bytes).toBeGreaterThanOrEqual(0)
    expect(err.bytes).toBeLessThanOrEqual(PART / 2)
    const again = await session.openStream()
    replaced.resolve()
    await expectPart(again.stream)
    await rest
    expect(await session.close()).toBe(STREAMS)
  }, TIMEOUT)
})
