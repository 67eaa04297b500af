import { pEvent } from 'p-event'
import { afterEach, describe, expect, it } from 'vitest'
import { forkListener } from './support/fork-listener.ts'
import { createOpenerNode, SOCKET_TRANSPORTS, stopNodes } from './support/nodes.ts'
import { rounds } from './support/rounds.ts'
import { SINK } from './support/stock-listener.ts'
import { bytes, replacedMethods } from './support/streams.ts'
import type { ForkedListener } from './support/fork-listener.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Connection, Libp2p } from '@libp2p/interface'

const STREAMS = rounds(2_000)

let dialer: Libp2p<OpenerServices> | undefined
let listener: ForkedListener | undefined

afterEach(async () => {
  await stopNodes(dialer)
  await listener?.stop()
  dialer = listener = undefined
})

async function writeAndClose (node: Libp2p<OpenerServices>, connection: Connection): Promise<void> {
  const stream = await node.services.streamOpener.newStreamOn(connection, SINK)
  expect(replacedMethods(stream)).toContain('sendCloseWrite')
  stream.send(bytes('0123456789'))
  await stream.close()
}

describe.each(SOCKET_TRANSPORTS)('streams that write 10 bytes and close at once, to a stock `for await` handler in another process over %s', transport => {
  it.each([1, 20, 100])(`are seen to their end, ${STREAMS} of them, %d at a time`, async concurrency => {
    const node = dialer = await createOpenerNode()
    listener = await forkListener(transport)
    const sunk = listener.sunk(STREAMS)
    const [connection] = await Promise.all([node.dial(listener.addr), pEvent(node as any, 'peer:identify')])
    let left = STREAMS

    await Promise.all(Array.from({ length: concurrency }, async () => {
      while (left-- > 0) {
        await writeAndClose(node, connection)
      }
    }))

    expect(await sunk).toStrictEqual({ opened: STREAMS, ended: STREAMS, bytes: STREAMS * 10 })
  })
})
