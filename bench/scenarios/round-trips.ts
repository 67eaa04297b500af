import { ECHO } from '../../test/fixtures/streams.ts'
import { timeEcho, timeExchange } from '../parts/exchange.ts'
import { measureGo } from '../parts/go-dialer.ts'
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
import type { Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * How many streams are opened at a time where they are not opened one by one
 */
const CONCURRENCY = 20

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

  /**
   * Until the first byte of the answer with `CONCURRENCY` streams at a time, in ms
   */
  concurrent: Record<Latency['opener'], Summary>
}

async function firstBytes (open: () => Promise<Stream>, streams: number): Promise<Summary> {
  const samples: number[] = []
  let left = streams

  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    while (left-- > 0) {
      samples.push((await timeExchange(open)).firstByte)
    }
  }))

  return summarise(samples)
}

export async function measureRoundTrips (addr: Multiaddr, init: InterleaveInit): Promise<RoundTrips> {
  const [samples, concurrent] = await withConnection(addr, async (dialer, { remotePeer }) => {
    const open = await dialer.dialProtocol(remotePeer, ECHO)
    const dialProtocol = async (): Promise<Stream> => dialer.dialProtocol(remotePeer, ECHO)
    const newStream = async (): Promise<Stream> => dialer.services.streamOpener.newStream(remotePeer, ECHO)

    return [
      await interleave({
        roundTrip: async () => timeEcho(open),
        dialProtocol: async () => timeExchange(dialProtocol),
        newStream: async () => timeExchange(newStream)
      }, init),
      {
        dialProtocol: await firstBytes(dialProtocol, init.rounds),
        newStream: await firstBytes(newStream, init.rounds)
      }
    ] as const
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
    newStream: latency('newStream'),
    concurrent
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

      const init = { warmUp: 5, rounds: quick ? 15 : 100 }
      const [result, go] = await withListener(transport, async ({ link }) => [
        await measureRoundTrips(link, init),
        await measureGo(link, { ...init, concurrency: CONCURRENCY })
      ] as const)

      rows.push([transport, 'an open stream', spread(result.roundTrip, 1), '1.00'])

      const add = (opener: string, firstByte: Summary): void => {
        rows.push([transport, opener, spread(firstByte, 1), number(firstByte.median / result.roundTrip.median, 2)])
      }

      add('dialProtocol', result.dialProtocol.firstByte)
      add('newStream', result.newStream.firstByte)

      if (go != null) {
        add('NewStream of go-libp2p', summarise(go.sequential))
      }

      add(`dialProtocol, ${CONCURRENCY} at a time`, result.concurrent.dialProtocol)
      add(`newStream, ${CONCURRENCY} at a time`, result.concurrent.newStream)

      if (go != null) {
        add(`NewStream of go-libp2p, ${CONCURRENCY} at a time`, summarise(go.concurrent))
      }

      targets.push({ name: `round trips of newStream over ${transport}`, value: result.newStream.roundTrips, atMost: 1.15 })
    }

    printTable(['transport', 'opened by', 'ms', 'round trips'], rows)

    return targets
  }
}
