/**
 * `npm run demo`
 */
import { median } from 'simple-statistics'
import { ECHO } from '../test/support/streams.ts'
import { timeEcho, timeExchange } from '../test/support/exchange.ts'
import { interleave } from './parts/interleave.ts'
import { openersOf } from './parts/openers.ts'
import { print } from './parts/print.ts'
import { number, printTable } from './parts/table.ts'
import { summariseBlocks } from './parts/throughput.ts'
import { TRANSPORTS } from './parts/transports.ts'
import { withConnection } from './parts/with-dialer.ts'
import { withListener } from './parts/with-listener.ts'
import { measureSequential } from './scenarios/sequential.ts'
import type { Timing } from '../test/support/exchange.ts'
import type { InterleaveInit } from './parts/interleave.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Round trip of the link, in ms
 */
const LINK = 50

print(`
A node opens streams to another one, in another process, that has never heard of
this package. It sends 32 bytes as soon as it has the stream, and waits for the
first byte of the answer: with node.dialProtocol(), and with
node.services.streamOpener.newStream(). It does so with one stream after the other,
each is closed before the next one is opened.
`)

async function measureLatency (addr: Multiaddr, init: InterleaveInit): Promise<{ echo: number[], dialProtocol: Timing[], newStream: Timing[] }> {
  return withConnection(addr, async (dialer, connection) => {
    const open = await dialer.dialProtocol(connection.remotePeer, ECHO)
    const { dialProtocol, newStream } = openersOf(dialer, connection, ECHO)

    return interleave({
      echo: async () => timeEcho(open),
      dialProtocol: async () => timeExchange(dialProtocol),
      newStream: async () => timeExchange(newStream)
    }, init)
  })
}

const OPENERS = ['dialProtocol', 'newStream'] as const
const rows: string[][] = []

for (const transport of TRANSPORTS) {
  await withListener(transport, async addresses => {
    print(`measuring over ${transport} ...`)

    const latency = await measureLatency(addresses[LINK], { warmUp: 2, rounds: 11 })
    const blocks = await measureSequential(addresses[0], OPENERS, { size: 150, ending: 'close() returned' }, { warmUp: 5, rounds: 9 })
    const roundTrip = median(latency.echo)

    print(`the link has a round trip of ${number(roundTrip, 1)} ms`)

    for (const opener of OPENERS) {
      const firstByte = median(latency[opener].map(({ firstByte }) => firstByte))
      const total = median(latency[opener].map(({ total }) => total))

      rows.push([
        transport,
        opener,
        number(firstByte / roundTrip, 2),
        number(firstByte, 1),
        number(1000 / total, 1),
        number(summariseBlocks(blocks[opener]).perSecond.median)
      ])
    }
  })
}

print()
printTable([
  'transport',
  'opened by',
  'round trips to\nthe first byte',
  'ms to the\nfirst byte',
  'streams/s\nover the link',
  'streams/s without\nthe link'
], rows)
