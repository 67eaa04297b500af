import { ECHO } from '../../test/fixtures/streams.ts'
import { timeExchange } from '../parts/exchange.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { ratioOf, summarise } from '../parts/statistics.ts'
import { printTable, spread } from '../parts/table.ts'
import { TRANSPORTS } from '../parts/transports.ts'
import { withDialer } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Summary } from '../parts/statistics.ts'
import type { Target } from '../parts/targets.ts'
import type { Dialer } from '../parts/with-dialer.ts'
import type { Path } from '../parts/with-listener.ts'
import type { Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

interface FirstStream {
  dialProtocol: Summary
  newStream: Summary
  ratio: Summary
}

/**
 * Each sample has a dialer of its own: one that has met the listener before has
 * the addresses of it that are not behind the link
 */
async function timeFirstStream (open: (dialer: Dialer) => Promise<Stream>): Promise<number> {
  return withDialer(async dialer => {
    const { firstByte } = await timeExchange(async () => open(dialer))

    return firstByte
  })
}

async function measureFirstStream (addr: Multiaddr, init: InterleaveInit): Promise<FirstStream> {
  const samples = await interleave({
    dialProtocol: async () => timeFirstStream(async dialer => dialer.dialProtocol(addr, ECHO)),
    newStream: async () => timeFirstStream(async dialer => dialer.services.streamOpener.newStream(addr, ECHO))
  }, init)

  return {
    dialProtocol: summarise(samples.dialProtocol),
    newStream: summarise(samples.newStream),
    ratio: ratioOf(samples.newStream, samples.dialProtocol)
  }
}

export const firstStream: Scenario = {
  name: 'first-stream',
  about: 'From dialing a peer to the first byte of the answer on the first stream, through a link of 50 ms and on loopback',

  async run ({ quick }) {
    const paths: Array<{ path: Path, init: InterleaveInit }> = [
      { path: 'link', init: { warmUp: 5, rounds: quick ? 10 : 50 } },
      { path: 'loopback', init: { warmUp: 10, rounds: quick ? 50 : 1000 } }
    ]
    const targets: Target[] = []
    const rows: string[][] = []

    for (const transport of TRANSPORTS) {
      await withListener(transport, async addresses => {
        for (const { path, init } of paths) {
          print(`measuring over ${transport}, ${path} ...`)

          const { dialProtocol, newStream, ratio } = await measureFirstStream(addresses[path], init)

          rows.push([transport, path, spread(dialProtocol, 1), spread(newStream, 1), spread(ratio, 3)])
          targets.push({ name: `first stream of newStream to that of dialProtocol over ${transport}, ${path}`, value: ratio.median, atMost: 1.03 })
        }
      })
    }

    printTable(['transport', 'path', 'dialProtocol, ms', 'newStream, ms', 'ratio (95% of draws)'], rows)

    return targets
  }
}
