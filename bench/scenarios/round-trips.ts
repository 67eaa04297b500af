import { ECHO } from '../../test/support/streams.ts'
import { PROTOCOLS } from '../../test/support/peer-protocols.ts'
import { timeExchange } from '../../test/support/exchange.ts'
import { besideNoise } from '../parts/beside-noise.ts'
import { measureGo } from '../parts/go-dialer.ts'
import { withGoPeer } from '../parts/go-peer.ts'
import { interleave } from '../parts/interleave.ts'
import { openersOf } from '../parts/openers.ts'
import { print } from '../parts/print.ts'
import { ROUND_TRIPS } from '../parts/round-trips.ts'
import { ratioOf } from '../parts/statistics.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { perOperation } from '../parts/throughput.ts'
import { ALL_TRANSPORTS } from '../parts/transports.ts'
import { WAYS, withWays } from '../parts/ways.ts'
import { withConnection } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Addresses, RoundTrip } from '../parts/round-trips.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'
import type { Way } from '../parts/ways.ts'
import type { Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const ROUNDS: Record<RoundTrip, InterleaveInit> = {
  0: { warmUp: 10, rounds: 60 },
  10: { warmUp: 2, rounds: 10 },
  50: { warmUp: 1, rounds: 6 },
  150: { warmUp: 1, rounds: 3 }
}

const QUICK: InterleaveInit = { warmUp: 1, rounds: 4 }

/**
 * An early open is there with the answer that a full negotiation waits for as well
 */
const TARGETS: Partial<Record<Way, number>> = { early: 2.15, optimistic: 1.15, resumed: 1.15 }

/**
 * How many streams are opened at a time where they are not opened one by one
 */
const CONCURRENCY = 20

/**
 * The openers with streams at a time, and go-libp2p's own, each for itself: they would
 * be in each other's way
 */
async function measureBeside (addr: Multiaddr, rounds: number, isGo: boolean): Promise<Record<string, number[]>> {
  return withConnection(addr, async (dialer, connection) => {
    const { dialProtocol, newStream } = openersOf(dialer, connection, ECHO)
    const go = isGo ? await measureGo(addr, { warmUp: 1, rounds, concurrency: CONCURRENCY }) : undefined

    async function firstBytes (open: () => Promise<Stream>): Promise<number[]> {
      const times: number[] = []
      let left = rounds

      await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
        while (left-- > 0) {
          times.push((await timeExchange(open)).firstByte)
        }
      }))

      return times
    }

    return {
      [`stock, ${CONCURRENCY} at a time`]: await firstBytes(dialProtocol),
      [`optimistic, ${CONCURRENCY} at a time`]: await firstBytes(newStream),
      ...(go == null ? {} : { 'go-libp2p': go.sequential, [`go-libp2p, ${CONCURRENCY} at a time`]: go.concurrent })
    }
  })
}

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

        if (roundTrip === 50 && listener === 'js') {
          const beside = await measureBeside(addresses[roundTrip], quick ? CONCURRENCY : 5 * CONCURRENCY, transport !== 'ws')

          Object.entries(beside).forEach(([opener, times]) => { add(opener, times) })
        }
      }
    }

    for (const transport of ALL_TRANSPORTS) {
      await withListener(transport, async addresses => measure(transport, 'js', ECHO, addresses))
      await withGoPeer(transport, async addresses => measure(transport, 'go', PROTOCOLS.echo, addresses))
    }

    targets.push(...await besideNoise({
      name: 'an open, an echo and a close',
      roundTrip: 50,
      recorder,
      warmUp: 4,
      rounds: quick ? 4 : 15,
      block: async (dialer, connection) => perOperation(1, async () => {
        await timeExchange(openersOf(dialer, connection, ECHO).newStream)
      })
    }))

    printTable(['transport, listener', 'opened by', 'link, ms', 'ms to the first byte', 'round trips'], rows)

    return targets
  }
}
