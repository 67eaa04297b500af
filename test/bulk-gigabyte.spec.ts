import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sendBulk } from '../src/bulk/send-bulk.ts'
import { bytesOf, digestOf } from './fixtures/bulk-data.ts'
import { FAST, forkBulkListener, PAUSE_UNTIL, SLOW } from './fixtures/bulk-listener.ts'
import { createOpenerNode, stopNodes } from './fixtures/nodes.ts'
import { readAll } from './fixtures/streams.ts'
import type { BulkDigest } from './fixtures/bulk-data.ts'
import type { BulkListener } from './fixtures/bulk-listener.ts'
import type { OpenerServices, TransportName } from './fixtures/nodes.ts'
import type { Libp2p } from '@libp2p/interface'

const GIGABYTE = 1024 * 1024 * 1024

/**
 * What may wait for a reader by default
 */
const HIGH_WATER_MARK = 4 * 1024 * 1024

const TIMEOUT = 10 * 60 * 1000

const digest = digestOf(bytesOf(GIGABYTE))

describe.each<TransportName>(['tcp', 'quic', 'ws'])('a gigabyte over %s', transport => {
  let dialer: Libp2p<OpenerServices>
  let listener: BulkListener

  beforeEach(async () => {
    dialer = await createOpenerNode()
    listener = await forkBulkListener(transport)
  })

  afterEach(async () => {
    await stopNodes(dialer)
    await listener.stop()
  })

  it.each([
    ['fast', FAST, 0],
    ['slow', SLOW, PAUSE_UNTIL]
  ])('reaches a %s reader unharmed, and no more of it waits than may', async (_, protocol, waiting) => {
    const stream = await dialer.services.streamOpener.newStream(listener.addr, protocol)
    const { bytes } = await sendBulk(stream, bytesOf(GIGABYTE))
    const { buffered, ...received }: BulkDigest = JSON.parse(new TextDecoder().decode(await readAll(stream)))

    expect(bytes).to.equal(GIGABYTE)
    expect(received).to.deep.equal(await digest)
    expect(buffered).to.be.within(waiting, HIGH_WATER_MARK)
  }, TIMEOUT)
})
