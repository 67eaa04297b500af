import { ECHO } from '../../test/fixtures/streams.ts'
import { GO_ECHO, withGoPeer } from '../parts/go-peer.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { ROUND_TRIPS } from '../parts/round-trips.ts'
import { ratioOf } from '../parts/statistics.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { ALL_TRANSPORTS } from '../parts/transports.ts'
import { WAYS, withWays } from '../parts/ways.ts'
import { withListener } from '../parts/with-listener.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Addresses, RoundTrip } from '../parts/round-trips.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'
import type { Way } from '../parts/ways.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

const ROUNDS: Record<RoundTrip, InterleaveInit> = {
  0: { warmUp: 10, rounds: 80 },
  10: { warmUp: 2, rounds: 12 },
  50: { warmUp: 1, rounds: 10 },
  150: { warmUp: 1, rounds: 5 }
}

const QUICK: InterleaveInit = { warmUp: 1, rounds: 4 }

/**
 * An early open is there with the answer that a full negotiation waits for as well
 */
const TARGETS: Partial<Record<Way, number>> = { early: 2.15, optimistic: 1.15, resumed: 1.15 }

export const roundTrips: Scenario = {
  name: 'round-trips',
  about: 'From opening a stream to the first byte of the answer, on loopback and through links with round trips of 10, 50 and 150 ms',

  async run ({ quick, recorder }) {
    const targets: Target[] = []
    const rows: string[][] = []

    async function measure (transport: string, listener: string, protocol: string, addresses: Addresses<Multiaddr>): Promise<void> {
      for (const roundTrip of ROUND_TRIPS) {
        print(`measuring over ${transport}, ${listener} listener, round trip of ${roundTrip} ms ...`)

        const samples = await withWays(addresses[roundTrip], protocol, async samplers => interleave(samplers, quick ? QUICK : ROUNDS[roundTrip]))

        function add (opener: string, times: number[]): void {
          const labels = { transport, listener, 'round trip, ms': roundTrip, 'opened by': opener }
          const inRoundTrips = ratioOf(times, samples.echo)

          rows.push([`${transport}, ${listener}`, opener, number(roundTrip), spread(recorder.add('time to the first byte', 'ms', labels, times), 1), number(inRoundTrips.median, 2)])

          const atMost = TARGETS[opener as Way]

          // on loopback it is the time that it takes to compute, see `sequential`
          if (atMost != null && roundTrip >= 50) {
            targets.push({ name: `round trips to the first byte, ${opener}, over ${transport} to a ${listener} listener ${roundTrip} ms away`, value: inRoundTrips, atMost })
          }
        }

        add('an open stream', samples.echo)
        WAYS.forEach(way => { add(way, samples[way].map(({ firstByte }) => firstByte)) })
      }
    }

    for (const transport of ALL_TRANSPORTS) {
      await withListener(transport, async addresses => measure(transport, 'js', ECHO, addresses))
      await withGoPeer(transport, async addresses => measure(transport, 'go', GO_ECHO, addresses))
    }

    printTable(['transport, listener', 'opened by', 'link, ms', 'ms to the first byte', 'round trips'], rows)

    return targets
  }
}
