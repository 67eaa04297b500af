/**
 * `npm run demo`
 */
import { print } from './parts/print.ts'
import { number, printTable } from './parts/table.ts'
import { TRANSPORTS } from './parts/transports.ts'
import { withListener } from './parts/with-listener.ts'
import { measureRoundTrips } from './scenarios/round-trips.ts'
import { measureSequential } from './scenarios/sequential.ts'

print(`
A node opens streams to another one, in another process, that has never heard of
this package. It sends 32 bytes as soon as it has the stream, and waits for the
first byte of the answer: with node.dialProtocol(), and with
node.services.streamOpener.newStream(). It does so with one stream after the other,
each is closed before the next one is opened.
`)

const rows: string[][] = []

for (const transport of TRANSPORTS) {
  await withListener(transport, async ({ link, loopback }) => {
    print(`measuring over ${transport} ...`)

    const latency = await measureRoundTrips(link, { warmUp: 2, rounds: 11 })
    const throughput = await measureSequential(loopback, {
      openers: ['dialProtocol', 'newStream'],
      ending: 'close() returned',
      blockSize: 150,
      warmUp: 5,
      rounds: 9
    })

    print(`the link has a round trip of ${number(latency.roundTrip.median, 1)} ms`)

    for (const { opener, firstByte, roundTrips, total } of [latency.dialProtocol, latency.newStream]) {
      rows.push([
        transport,
        opener,
        number(roundTrips, 2),
        number(firstByte.median, 1),
        number(1000 / total.median, 1),
        number(throughput[opener].perSecond.median)
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
