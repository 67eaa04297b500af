import { ECHO } from '../../test/support/streams.ts'
import { timeExchange } from '../../test/support/exchange.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { ratioOf } from '../parts/statistics.ts'
import { printTable, spread } from '../parts/table.ts'
import { TRANSPORTS } from '../parts/transports.ts'
import { remember } from '../parts/ways.ts'
import { withDialer } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { RoundTrip } from '../parts/round-trips.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'
import type { Dialer } from '../parts/with-dialer.ts'
import type { Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * - `dial`: the node has never met the peer
 * - `reconnect`: it has, and resumes
 */
const KINDS = ['dial', 'reconnect'] as const

type Kind = typeof KINDS[number]

type Open = (dialer: Dialer) => Promise<Stream>

async function timeFirst (dialer: Dialer, open: Open): Promise<number> {
  const { firstByte } = await timeExchange(async () => open(dialer))

  return firstByte
}

/**
 * Each sample of a dial has a node of its own, the reconnects share one
 */
async function measure (kind: Kind, addr: Multiaddr, init: InterleaveInit): Promise<Record<'dialProtocol' | 'newStream', number[]>> {
  const stock: Open = async dialer => dialer.dialProtocol(addr, ECHO)
  const ours: Open = async dialer => dialer.services.streamOpener.newStream(addr, ECHO)

  if (kind === 'dial') {
    const fresh = async (open: Open): Promise<number> => withDialer(async dialer => timeFirst(dialer, open))

    return interleave({ dialProtocol: async () => fresh(stock), newStream: async () => fresh(ours) }, init)
  }

  return withDialer(async dialer => {
    const again = async (open: Open): Promise<number> => {
      await Promise.all(dialer.getPeers().map(async peer => dialer.hangUp(peer)))

      return timeFirst(dialer, open)
    }

    await remember(dialer, addr)

    return interleave({ dialProtocol: async () => again(stock), newStream: async () => again(ours) }, init)
  }, {}, { resume: true })
}

export const firstStream: Scenario = {
  name: 'first-stream',
  about: 'From dialing a peer to the first byte of the answer on the first stream, after a first dial and after a reconnect with resume',

  async run ({ quick, recorder }) {
    const paths: Array<{ roundTrip: RoundTrip, init: InterleaveInit }> = [
      { roundTrip: 50, init: { warmUp: 2, rounds: quick ? 6 : 14 } },
      { roundTrip: 0, init: { warmUp: 10, rounds: quick ? 20 : 120 } }
    ]
    const targets: Target[] = []
    const rows: string[][] = []

    for (const transport of TRANSPORTS) {
      await withListener(transport, async addresses => {
        for (const { roundTrip, init } of paths) {
          for (const kind of KINDS) {
            print(`measuring over ${transport}, ${kind}, round trip of ${roundTrip} ms ...`)

            const samples = await measure(kind, addresses[roundTrip], init)
            const add = (opener: keyof typeof samples): string => {
              const labels = { transport, 'round trip, ms': roundTrip, after: kind, 'opened by': opener }

              return spread(recorder.add('time to the first byte', 'ms', labels, samples[opener]), 1)
            }
            const ratio = ratioOf(samples.newStream, samples.dialProtocol)

            rows.push([transport, kind, `${roundTrip}`, add('dialProtocol'), add('newStream'), spread(ratio, 3)])
            targets.push({ name: `first stream of newStream to that of dialProtocol over ${transport}, ${kind}, ${roundTrip} ms away`, value: ratio, atMost: 1.03 })
          }
        }
      })
    }

    printTable(['transport', 'after', 'link, ms', 'dialProtocol, ms', 'newStream, ms', 'ratio (95% of draws)'], rows)

    return targets
  }
}
