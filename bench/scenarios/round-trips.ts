import { ECHO } from '../../test/fixtures/streams.ts'
import { timeEcho, timeExchange } from '../parts/exchange.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { summarise } from '../parts/statistics.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { TRANSPORTS } from '../parts/transports.ts'
import { withConnection } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import type { Timing } from '../parts/exchange.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Summary } from '../parts/statistics.ts'
import type { Target } from '../parts/targets.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

interface Latency {
  opener: 'dialProtocol' | 'newStream'

  /**
   * Until the first byte of the answer, in ms
   */
  firstByte: Summary

  roundTrips: number

  /**
   * Until `close()` has returned, in ms
   */
  total: Summary
}

export interface RoundTrips {
  /**
   * How long an answer takes on a stream that is open, in ms
   */
  roundTrip: Summary

  dialProtocol: Latency
  newStream: Latency
}

export async function measureRoundTrips (addr: Multiaddr, init: InterleaveInit): Promise<RoundTrips> {
  const samples = await withConnection(addr, async (dialer, { remotePeer }) => {
    const open = await dialer.dialProtocol(remotePeer, ECHO)

    return interleave({
      roundTrip: async () => timeEcho(open),
      dialProtocol: async () => timeExchange(async () => dialer.dialProtocol(remotePeer, ECHO)),
      newStream: async () => timeExchange(async () => dialer.services.streamOpener.newStream(remotePeer, ECHO))
    }, init)
  })
  const roundTrip = summarise(samples.roundTrip)

  function latency (opener: Latency['opener']): Latency {
    const of = (name: keyof Timing): Summary => summarise(samples[opener].map(timing => timing[name]))
    const firstByte = of('firstByte')

    return { opener, firstByte, roundTrips: firstByte.median / roundTrip.median, total: of('total') }
  }

  return {
    roundTrip,
    dialProtocol: latency('dialProtocol'),
    newStream: latency('newStream')
  }
}

export const roundTrips: Scenario = {
  name: 'round-trips',
  about: 'From opening a stream on an identified connection to the first byte of the answer, through a link of 50 ms',

  async run ({ quick }) {
    const targets: Target[] = []
    const rows: string[][] = []

    for (const transport of TRANSPORTS) {
      print(`measuring over ${transport} ...`)

      const result = await withListener(transport, async ({ link }) => measureRoundTrips(link, { warmUp: 5, rounds: quick ? 15 : 100 }))

      rows.push([transport, 'an open stream', spread(result.roundTrip, 1), '1.00'])

      for (const { opener, firstByte, roundTrips } of [result.dialProtocol, result.newStream]) {
        rows.push([transport, opener, spread(firstByte, 1), number(roundTrips, 2)])
      }

      targets.push({ name: `round trips of newStream over ${transport}`, value: result.newStream.roundTrips, atMost: 1.15 })
    }

    printTable(['transport', 'opened by', 'ms', 'round trips'], rows)

    return targets
  }
}
