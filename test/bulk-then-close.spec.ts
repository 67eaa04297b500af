/**
 * What `sendBulk` says about closing the connection after it
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { receiveBulk, sendBulk } from '../src/index.ts'
import { bytesOf, digestOf } from './support/bulk-data.ts'
import { addressOf, createOpenerNode, createStockNode, stopNodes, TRANSPORTS } from './support/nodes.ts'
import type { BulkStream } from '../src/index.ts'
import type { OpenerServices, TransportName } from './support/nodes.ts'
import type { Libp2p } from '@libp2p/interface'

const BULK = '/bulk/1.0.0'
const SIZE = 2_000_000
const TRANSFERS = 10

let dialer: Libp2p<OpenerServices>
let listener: Libp2p
let outcomes: Array<Promise<number>>

async function start (transport: TransportName): Promise<void> {
  listener = await createStockNode(transport)

  await listener.handle(BULK, async stream => {
    const outcome = digestOf(receiveBulk(stream)).then(({ bytes }) => bytes)
    outcomes.push(outcome.catch(() => 0))

    await outcome
    await stream.close()
  })
}

async function open (): Promise<BulkStream> {
  return dialer.services.streamOpener.openBulkStream(addressOf(listener), BULK, { force: true })
}

beforeEach(async () => {
  outcomes = []
  dialer = await createOpenerNode()
})

afterEach(async () => stopNodes(dialer, listener))

describe('a connection that is closed after a transfer', () => {
  it.each(TRANSPORTS)('loses nothing of it over %s when the peer has closed its end', async transport => {
    await start(transport)

    await Promise.all(Array.from({ length: TRANSFERS }, async () => {
      const { stream, connection } = await open()

      await sendBulk(stream, bytesOf(SIZE))
      await digestOf(receiveBulk(stream))
      await connection.close()
    }))

    expect(await Promise.all(outcomes)).toEqual(Array(TRANSFERS).fill(SIZE))
  })

  it('loses nothing of it over WebSockets at once', async () => {
    await start('ws')

    await Promise.all(Array.from({ length: TRANSFERS }, async () => {
      const { stream, connection } = await open()

      await sendBulk(stream, bytesOf(SIZE))
      await connection.close()
    }))

    expect(await Promise.all(outcomes)).toEqual(Array(TRANSFERS).fill(SIZE))
  })
})
