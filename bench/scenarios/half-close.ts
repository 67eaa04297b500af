import { ECHO } from '../../test/support/streams.ts'
import { timeEcho } from '../../test/support/exchange.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { request, REQUEST_RESPONSE } from '../parts/request-response.ts'
import { medianOf } from '../parts/statistics.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { TRANSPORTS } from '../parts/transports.ts'
import { dialIdentified, withDialer } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import type { ListenerKind } from '../parts/with-listener.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'
import type { Dialer } from '../parts/with-dialer.ts'
import type { Connection, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * In ms, as the link is set
 */
const LINK = 50

/**
 * How often the round trip of a connection is measured
 */
const ECHOES = 5

/**
 * How many requests a connection has
 */
const REQUESTS = 4

type Start = 'straight after the dial' | 'identified'

/**
 * What is left out is in `request-response`
 */
const CASES: Array<[ListenerKind, Start]> = [['stock', 'straight after the dial'], ['stock', 'identified'], ['guarded', 'straight after the dial']]

const WAYS = ['stock', 'newStream', 'intercept'] as const

type Way = typeof WAYS[number]

/**
 * How much later than with stock the first request and each later one may be answered,
 * in round trips
 */
const LIMITS: Record<Start, { first: number, later: number }> = {
  'straight after the dial': { first: 0.3, later: 0.2 },
  identified: { first: 1, later: 0.2 }
}

async function open (way: Way, dialer: Dialer, connection: Connection): Promise<Stream> {
  return way === 'newStream'
    ? dialer.services.streamOpener.newStreamOn(connection, REQUEST_RESPONSE)
    : connection.newStream(REQUEST_RESPONSE)
}

/**
 * How long a round trip takes on a connection, in ms, which is more than the link is
 * set to: what its timers, the sockets and the two nodes add
 */
async function roundTripOf (connection: Connection): Promise<number> {
  const stream = await connection.newStream(ECHO)
  const times: number[] = []

  for (let i = 0; i < ECHOES; i++) {
    times.push(await timeEcho(stream))
  }

  await stream.close()

  return medianOf(times).median
}

/**
 * Each sample has a node, and a connection, of its own: how many round trips each
 * request takes until its answer has come to its end
 */
async function sample (way: Way, addr: Multiaddr, start: Start): Promise<number[]> {
  return withDialer(async dialer => {
    const connection = start === 'identified' ? await dialIdentified(dialer, addr) : await dialer.dial(addr)
    const taken: number[] = []

    for (let i = 0; i < REQUESTS; i++) {
      const began = performance.now()

      await request(await open(way, dialer, connection))
      taken.push(performance.now() - began)
    }

    const roundTrip = await roundTripOf(connection)

    return taken.map(time => time / roundTrip)
  }, {}, { intercept: way === 'intercept' })
}

export const halfClose: Scenario = {
  name: 'half-close',
  about: `The first ${REQUESTS} requests on a connection that end with a half-close and are answered then, in round trips, through a link of ${LINK} ms`,

  async run ({ quick, recorder }) {
    const targets: Target[] = []
    const rows: string[][] = []

    async function measure (transport: typeof TRANSPORTS[number], kind: ListenerKind, start: Start): Promise<void> {
      await withListener(transport, async addresses => {
        const samples = await interleave({
          stock: async () => sample('stock', addresses[LINK], start),
          newStream: async () => sample('newStream', addresses[LINK], start),
          intercept: async () => sample('intercept', addresses[LINK], start)
        }, { warmUp: 2, rounds: quick ? 4 : 8 })

        for (const way of WAYS) {
          const of = (i: number): number[] => samples[way].map(taken => taken[i] ?? NaN)
          const labels = { transport, listener: kind, start, way }
          const columns = Array.from({ length: REQUESTS }, (_, i) => spread(recorder.add('round trips to the end of the answer', '', { ...labels, request: i + 1 }, of(i)), 2))

          rows.push([transport, kind, start, way, ...columns])

          if (way === 'stock') {
            continue
          }

          for (let i = 0; i < REQUESTS; i++) {
            const later = samples[way].map((taken, round) => (taken[i] ?? NaN) - (samples.stock[round]?.[i] ?? NaN))
            const limit = i === 0 ? LIMITS[start].first : LIMITS[start].later

            targets.push({ name: `request ${i + 1} of ${way} later than with stock over ${transport} to a ${kind} listener, ${start}, in round trips`, value: medianOf(later), atMost: limit })
          }
        }
      }, kind)
    }

    for (const transport of TRANSPORTS) {
      for (const [kind, start] of CASES) {
        print(`measuring over ${transport}, ${kind} listener, ${start} ...`)
        await measure(transport, kind, start)
      }
    }

    printTable(['transport', 'listener', 'start', 'way', ...Array.from({ length: REQUESTS }, (_, i) => `request ${number(i + 1)}`)], rows)

    return targets
  }
}
