import { pEvent } from 'p-event'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { forkListener } from '../support/fork-listener.ts'
import { createOpenerNode, stopNodes } from '../support/nodes.ts'
import { rounds } from '../support/rounds.ts'
import { bytes, closed, readAll } from '../support/streams.ts'
import { turn } from '../support/wait.ts'
import type { ForkedListener } from '../support/fork-listener.ts'
import type { OpenerServices, TransportName } from '../support/nodes.ts'
import type { StreamOpenerInit } from '../../src/index.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const TRANSPORTS: TransportName[] = ['tcp', 'ws', 'quic']
const TIMEOUT = 100

// its handler sees an end that comes with the request
const PROTOCOL = '/byte-stream/1.0.0'

let dialer: Libp2p<OpenerServices>

afterEach(async () => {
  await stopNodes(dialer)
})

/**
 * Keeps the event loop from turning for longer than the timeouts, while the peer in
 * another process answers
 */
function block (): void {
  const until = performance.now() + 3 * TIMEOUT

  while (performance.now() < until) {
    // on purpose
  }
}

describe.each(TRANSPORTS)('an event loop that was busy for longer than a timeout, over %s', transport => {
  let forked: ForkedListener

  beforeAll(async () => {
    forked = await forkListener(transport)
  })

  afterAll(async () => {
    await forked.stop()
  })

  async function connect (init: StreamOpenerInit): Promise<Connection> {
    dialer = await createOpenerNode(init)
    const [connection] = await Promise.all([dialer.dial(forked.addr), pEvent(dialer as any, 'peer:identify')])

    return connection
  }

  async function open (connection: Connection): Promise<Stream> {
    return dialer.services.streamOpener.newStreamOn(connection, PROTOCOL)
  }

  it.each([1, 20])('reads the answers that have come to %i handshakes before it gives up on them', async count => {
    const connection = await connect({ negotiationTimeout: TIMEOUT })

    for (let i = 0; i < rounds(10, 5); i++) {
      const streams = await Promise.all(Array.from({ length: count }, async () => open(connection)))
      const answers = Promise.all(streams.map(async stream => {
        stream.send(bytes('hello'))
        stream.close().catch(() => {})

        return readAll(stream)
      }))
      // what was sent is on its way when the loop has turned
      await turn()
      block()

      expect(await answers).toEqual(streams.map(() => bytes('hello')))
    }
  })

  // over QUIC the FIN leaves some turns after what was written
  if (transport !== 'quic') {
    it('reads that a stream was closed before a call gives up waiting for that', async () => {
      const connection = await connect({ queueTimeout: TIMEOUT, maxStreamsPerProtocol: 1, halfClose: 'immediate' })

      for (let i = 0; i < rounds(10, 5); i++) {
        const first = await open(connection)
        const second = open(connection)
        const reading = readAll(first)
        first.send(bytes('hello'))
        first.close().catch(() => {})
        await turn()
        block()

        expect(await reading).toEqual(bytes('hello'))
        const stream = await second
        const end = closed(stream)
        stream.abort(new Error('Enough'))
        await end
      }
    })
  }
})
