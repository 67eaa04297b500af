import { median, quantile } from 'simple-statistics'
import { ECHO } from '../../test/support/streams.ts'
import { timeEcho, timeExchange } from '../../test/support/exchange.ts'
import { interleave } from '../parts/interleave.ts'
import { openersOf } from '../parts/openers.ts'
import { print } from '../parts/print.ts'
import { randomFrom } from '../../test/support/random.ts'
import { ratioOf } from '../parts/statistics.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { TRANSPORTS } from '../parts/transports.ts'
import { withConnection } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import { withRelay } from '../parts/with-relay.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

const RATES = [0, 0.01, 0.05]
const ROUND_TRIP = 50
const AT_ONCE = 8
const OPENERS = ['an open stream', 'dialProtocol', 'newStream'] as const

async function measure (listener: Multiaddr, rate: number, init: InterleaveInit): Promise<Record<typeof OPENERS[number], number[][]>> {
  const random = randomFrom(1)
  let isLossy = false

  return withRelay(listener, { delay: ROUND_TRIP / 2, loses: () => isLossy && random() < rate }, async addr => withConnection(addr, async (dialer, connection) => {
    const { dialProtocol, newStream } = openersOf(dialer, connection, ECHO)
    const open = await Promise.all(Array.from({ length: AT_ONCE }, dialProtocol))
    const atOnce = async (fn: (i: number) => Promise<number>): Promise<number[]> => Promise.all(Array.from({ length: AT_ONCE }, async (_, i) => fn(i)))

    // it is not dialing that is measured
    isLossy = true

    return interleave({
      'an open stream': async () => atOnce(async i => timeEcho(open[i] ?? await dialProtocol())),
      dialProtocol: async () => atOnce(async () => (await timeExchange(dialProtocol)).firstByte),
      newStream: async () => atOnce(async () => (await timeExchange(newStream)).firstByte)
    }, init)
  }))
}

export const loss: Scenario = {
  name: 'loss',
  about: `From opening ${AT_ONCE} streams at once to the first byte of each answer, through a link of ${ROUND_TRIP} ms that loses packets`,

  async run ({ quick, recorder }) {
    const targets: Target[] = []
    const rows: string[][] = []

    for (const transport of TRANSPORTS) {
      await withListener(transport, async addresses => {
        for (const rate of RATES) {
          print(`measuring over ${transport}, ${number(rate * 100)}% lost ...`)

          const samples = await measure(addresses[0], rate, { warmUp: 2, rounds: quick ? 8 : 13 })

          for (const opener of OPENERS) {
            const times = samples[opener].flat()
            const summary = recorder.add('time to the first byte', 'ms', { transport, 'lost, %': rate * 100, 'opened by': opener }, times)

            rows.push([transport, opener, `${number(rate * 100)}%`, spread(summary, 1), number(quantile(times, 0.9)), number(quantile(times, 0.99))])
          }

          targets.push({
            name: `time of newStream to that of dialProtocol over ${transport}, ${number(rate * 100)}% lost`,
            // those at once are lost together
            value: ratioOf(samples.newStream.map(median), samples.dialProtocol.map(median)),
            atMost: 0.6
          })
        }
      })
    }

    printTable(['transport', 'opened by', 'lost', 'ms to the first byte', 'p90', 'p99'], rows)

    return targets
  }
}
