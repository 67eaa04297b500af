import { besideNoise } from '../parts/beside-noise.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { request, REQUEST_RESPONSE } from '../parts/request-response.ts'
import { pairedRatioOf } from '../parts/statistics.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { perOperation } from '../parts/throughput.ts'
import { TRANSPORTS } from '../parts/transports.ts'
import { withConnection } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import type { HalfClose } from '../../src/index.ts'
import type { RoundTrip } from '../parts/round-trips.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'
import type { Block } from '../parts/throughput.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * How many requests a sample has, and how many samples there are
 */
const PATHS: Array<{ roundTrip: RoundTrip, size: number, rounds: number }> = [
  { roundTrip: 50, size: 1, rounds: 15 },
  { roundTrip: 0, size: 5, rounds: 20 }
]

/**
 * How many times as many a sample has that is about the encrypter, which is little of a
 * request
 */
const BESIDE_NOISE = 20

/**
 * - `stock`: `dialProtocol`
 * - `confirmed`, `immediate`: to a listener that does not have this package, the FIN
 *   after the handshake was confirmed, and with the request
 * - `guarded`: to a listener that has it
 */
const WAYS = ['stock', 'confirmed', 'immediate', 'guarded'] as const

type Samples = Record<typeof WAYS[number], Block[]>

async function measure (stock: Multiaddr, guarded: Multiaddr, size: number, rounds: number): Promise<Samples> {
  return withConnection(stock, async (dialer, toStock) => withConnection(guarded, async (other, toGuarded) => {
    async function block (open: () => ReturnType<typeof dialer.dialProtocol>): Promise<Block> {
      return perOperation(size, async () => {
        for (let i = 0; i < size; i++) {
          await request(await open())
        }
      })
    }

    const holding = (halfClose: HalfClose) => async () => block(async () => dialer.services.streamOpener.newStreamOn(toStock, REQUEST_RESPONSE, { halfClose }))

    return interleave({
      stock: async () => block(async () => dialer.dialProtocol(toStock.remotePeer, REQUEST_RESPONSE)),
      confirmed: holding('confirmed'),
      immediate: holding('immediate'),
      guarded: async () => block(async () => other.services.streamOpener.newStreamOn(toGuarded, REQUEST_RESPONSE))
    }, { warmUp: 2, rounds })
  }))
}

export const requestResponse: Scenario = {
  name: 'request-response',
  about: 'A request that ends with a half-close, and an answer to its end, through a link of 50 ms and on loopback',

  async run ({ quick, recorder }) {
    const targets: Target[] = []
    const rows: string[][] = []

    for (const transport of TRANSPORTS) {
      await withListener(transport, async stock => withListener(transport, async guarded => {
        for (const { roundTrip, size, rounds } of PATHS) {
          print(`measuring over ${transport}, round trip of ${roundTrip} ms ...`)

          const samples = await measure(stock[roundTrip], guarded[roundTrip], size, quick ? 4 : rounds)
          const times = (way: keyof Samples): number[] => samples[way].map(({ time }) => time / 1000)

          for (const way of WAYS) {
            const labels = { transport, 'round trip, ms': roundTrip, way }
            const time = recorder.add('time to the end of the answer', 'ms', labels, times(way))
            const cpu = recorder.add('CPU per request', 'us', labels, samples[way].map(({ cpu }) => cpu))

            rows.push([transport, way, number(roundTrip), spread(time, 1), number(pairedRatioOf(times(way), times('stock')).median, 2), spread(cpu)])
          }

          if (roundTrip > 0) {
            targets.push({ name: `time of a guarded request to a stock one over ${transport}, ${roundTrip} ms away`, value: pairedRatioOf(times('guarded'), times('stock')), atMost: 0.6 })
          }
        }
      }, 'guarded'))
    }

    for (const { roundTrip, size, rounds } of PATHS.filter(({ roundTrip }) => roundTrip === 0)) {
      targets.push(...await besideNoise({
        name: 'a request and its answer',
        roundTrip,
        recorder,
        warmUp: 10,
        rounds: quick ? 4 : rounds,
        block: async ({ services }, connection) => perOperation(size * BESIDE_NOISE, async () => {
          for (let i = 0; i < size * BESIDE_NOISE; i++) {
            await request(await services.streamOpener.newStreamOn(connection, REQUEST_RESPONSE))
          }
        })
      }))
    }

    printTable(['transport', 'way', 'link, ms', 'ms to the end', 'to stock', 'CPU per request, us'], rows)

    return targets
  }
}
