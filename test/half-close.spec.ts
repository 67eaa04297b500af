import { pEvent } from 'p-event'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { forkListener } from './support/fork-listener.ts'
import { createOpenerNode, SOCKET_TRANSPORTS, stopNodes } from './support/nodes.ts'
import { rounds } from './support/rounds.ts'
import { SINK } from './support/stock-listener.ts'
import { bytes, replacedMethods } from './support/streams.ts'
import type { ForkedListener } from './support/fork-listener.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Connection, Libp2p } from '@libp2p/interface'

const STREAMS = rounds(2_000)

let dialer: Libp2p<OpenerServices>

afterEach(async () => stopNodes(dialer))

async function writeAndClose (connection: Connection): Promise<void> {
  const stream = await dialer.services.streamOpener.newStreamOn(connection, SINK)
  expect(replacedMethods(stream)).toContain('sendCloseWrite')
  stream.send(bytes('0123456789'))
  await stream.close()
}

describe.each(SOCKET_TRANSPORTS)('streams that write 10 bytes and close at once, to a stock `for await` handler in another process over %s', transport => {
  let listener: ForkedListener

  beforeAll(async () => {
    listener = await forkListener(transport)
  })

  afterAll(async () => listener.stop())

  it.each([1, 20, 100])(`are seen to their end, ${STREAMS} of them, %d at a time`, async concurrency => {
    dialer = await createOpenerNode()
    const sunk = listener.sunk(STREAMS)
    const [connection] = await Promise.all([dialer.dial(listener.addr), pEvent(dialer as any, 'peer:identify')])
    let left = STREAMS

    await Promise.all(Array.from({ length: concurrency }, async () => {
      while (left-- > 0) {
        await writeAndClose(connection)
      }
    }))

    expect(await sunk).toStrictEqual({ opened: STREAMS, ended: STREAMS, bytes: STREAMS * 10 })
  })
})
