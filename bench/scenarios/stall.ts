import { ECHO } from '../../test/support/streams.ts'
import { timeEcho } from '../../test/support/exchange.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { TRANSPORTS } from '../parts/transports.ts'
import { withConnection } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import { withRelay } from '../parts/with-relay.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const STREAMS = 8
const ROUND_TRIP = 10

/**
 * How long the streams are watched, in ms: longer than a retransmission takes
 */
const WATCHED = 400

/**
 * Has one echo after the other on each of the streams for a while, and returns the
 * slowest one of each stream, the slowest stream first
 */
async function slowestEchos (streams: Stream[], afterAWhile: () => void): Promise<number[]> {
  const end = performance.now() + WATCHED
  const timer = setTimeout(afterAWhile, WATCHED / 8)

  const slowest = await Promise.all(streams.map(async stream => {
    let slowest = 0

    while (performance.now() < end) {
      slowest = Math.max(slowest, await timeEcho(stream))
    }

    return slowest
  }))

  clearTimeout(timer)

  return slowest.toSorted((a, b) => b - a)
}

async function measure (listener: Multiaddr, init: InterleaveInit): Promise<Record<'nothing' | 'one packet', number[][]>> {
  let toLose = 0

  return withRelay(listener, { delay: ROUND_TRIP / 2, loses: () => toLose > 0 && toLose-- > 0 }, async addr => withConnection(addr, async (dialer, connection) => {
    const streams: Stream[] = []

    for (let i = 0; i < STREAMS; i++) {
      streams.push(await dialer.services.streamOpener.newStreamOn(connection, ECHO))
    }

    return interleave({
      nothing: async () => slowestEchos(streams, () => {}),
      'one packet': async () => slowestEchos(streams, () => { toLose = 1 })
    }, init)
  }))
}

export const stall: Scenario = {
  name: 'stall',
  about: `What one lost packet does to ${STREAMS} streams that are in use, through a link of ${ROUND_TRIP} ms`,

  async run ({ quick, recorder }) {
    const rows: string[][] = []

    for (const transport of TRANSPORTS) {
      print(`measuring over ${transport} ...`)

      const samples = await withListener(transport, async addresses => measure(addresses[0], { warmUp: 1, rounds: quick ? 4 : 16 }))

      for (const [lost, rounds] of Object.entries(samples)) {
        const ranks = Array.from({ length: STREAMS }, (_, rank) => {
          return recorder.add('slowest echo of a stream', 'ms', { transport, lost, 'streams that were as slow': rank + 1 }, rounds.map(slowest => slowest[rank] ?? NaN))
        })
        const [worst, second] = ranks
        const least = ranks.at(-1)

        if (worst != null && second != null && least != null) {
          rows.push([transport, lost, ...[worst, second, least].map(summary => spread(summary, 1)), number(ranks.filter(({ median }) => median > 5 * ROUND_TRIP).length)])
        }
      }
    }

    printTable(['transport', 'lost', 'slowest echo, ms', 'of the second stream', `of stream ${STREAMS}`, `over ${5 * ROUND_TRIP} ms`], rows)

    return []
  }
}
