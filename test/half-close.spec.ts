import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, it } from 'vitest'
import { createOpenerNode, SOCKET_TRANSPORTS, stopNodes } from './fixtures/nodes.ts'
import { SINK } from './fixtures/stock-listener.ts'
import { bytes } from './fixtures/streams.ts'
import type { OpenerServices } from './fixtures/nodes.ts'
import type { SinkReport } from './fixtures/stock-listener.ts'
import type { Libp2p, PeerId } from '@libp2p/interface'
import type { ChildProcess } from 'node:child_process'

const STREAMS = 2_000

let dialer: Libp2p<OpenerServices> | undefined
let child: ChildProcess | undefined

afterEach(async () => {
  await stopNodes(dialer)
  child?.disconnect()
})

describe.each(SOCKET_TRANSPORTS)('streams that write 10 bytes and close at once, to a stock `for await` handler in another process over %s', transport => {
  it.each([1, 20])(`are seen to their end, ${STREAMS} of them, %d at a time`, async concurrency => {
    child = fork(fileURLToPath(new URL('./fixtures/stock-listener.ts', import.meta.url)), [transport], { execArgv: [] })
    const [[addr]] = await once(child, 'message')
    const finished = Promise.withResolvers<SinkReport>()
    child.on('message', (report: SinkReport) => {
      if (report.ended === STREAMS) {
        finished.resolve(report)
      }
    })

    dialer = await createOpenerNode()
    const connection = await dialer.dial(multiaddr(addr))
    await dialer.services.identify.identify(connection).catch(() => {})
    let left = STREAMS

    async function work ({ services: { streamOpener } }: Libp2p<OpenerServices>, peer: PeerId): Promise<void> {
      while (left-- > 0) {
        const stream = await streamOpener.newStream(peer, SINK)
        stream.send(bytes('0123456789'))
        await stream.close()
      }
    }

    await Promise.all(Array.from({ length: concurrency }, async () => work(dialer as Libp2p<OpenerServices>, connection.remotePeer)))

    expect(await finished.promise).to.deep.equal({ opened: STREAMS, ended: STREAMS, bytes: STREAMS * 10 })
  })
})
