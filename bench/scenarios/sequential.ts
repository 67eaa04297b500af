import { ECHO } from '../../test/fixtures/streams.ts'
import { bareMuxer } from '../parts/bare-muxer.ts'
import { ENDINGS } from '../parts/exchange.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { runBlock, summariseBlocks } from '../parts/throughput.ts'
import { TRANSPORTS } from '../parts/transports.ts'
import { withConnection } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import type { Ending } from '../parts/exchange.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'
import type { Throughput } from '../parts/throughput.ts'
import type { Transport } from '../parts/transports.ts'
import type { Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const OPENERS = ['dialProtocol', 'newStream', 'newStreamOn', 'bareMuxer'] as const

type Opener = typeof OPENERS[number]

export interface SequentialInit<O extends Opener> extends InterleaveInit {
  openers: readonly O[]
  ending: Ending

  /**
   * How many streams are opened between two looks at the clock
   */
  blockSize: number
}

const SPEED_UP: Record<Transport, number> = {
  tcp: 2,
  quic: 1.6
}

export async function measureSequential <O extends Opener> (addr: Multiaddr, init: SequentialInit<O>): Promise<Record<O, Throughput>> {
  const { openers, ending, blockSize } = init

  const samples = await withConnection(addr, async (dialer, connection) => {
    const { remotePeer } = connection
    const { streamOpener } = dialer.services

    const open: Record<Opener, () => Promise<Stream>> = {
      dialProtocol: async () => dialer.dialProtocol(remotePeer, ECHO),
      newStream: async () => streamOpener.newStream(remotePeer, ECHO),
      newStreamOn: async () => streamOpener.newStreamOn(connection, ECHO),
      bareMuxer: bareMuxer(connection)
    }

    return interleave(forEach(openers, opener => async () => runBlock(open[opener], blockSize, ending)), init)
  })

  return forEach(openers, opener => summariseBlocks(samples[opener]))
}

function forEach <O extends Opener, T> (openers: readonly O[], fn: (opener: O) => T): Record<O, T> {
  return Object.fromEntries(openers.map(opener => [opener, fn(opener)])) as Record<O, T>
}

export const sequential: Scenario = {
  name: 'sequential',
  about: 'Opening a stream, an echo of 32 bytes and closing it, one after the other, on loopback',

  async run ({ quick }) {
    const targets: Target[] = []

    for (const transport of TRANSPORTS) {
      for (const ending of ENDINGS) {
        print(`measuring over ${transport}, each until ${ending} ...`)

        const result = await withListener(transport, async ({ loopback }) => measureSequential(loopback, {
          openers: OPENERS,
          ending,
          blockSize: 200,
          warmUp: 6,
          rounds: quick ? 10 : 60
        }))
        const { dialProtocol, newStream, bareMuxer } = result
        const speedUp = ({ perSecond }: Throughput): number => perSecond.median / dialProtocol.perSecond.median
        const overhead = ({ cpu }: Throughput): number => cpu.median / bareMuxer.cpu.median

        printTable(['transport', 'opened by', 'opens/s', 'to dialProtocol', 'CPU per open, us', 'to bareMuxer'], OPENERS.map(opener => [
          transport,
          opener,
          spread(result[opener].perSecond),
          number(speedUp(result[opener]), 2),
          spread(result[opener].cpu),
          number(overhead(result[opener]), 2)
        ]))

        targets.push(
          { name: `opens/s of newStream to dialProtocol over ${transport}, until ${ending}`, value: speedUp(newStream), atLeast: SPEED_UP[transport] },
          { name: `CPU of newStream to the bare muxer over ${transport}, until ${ending}`, value: overhead(newStream), atMost: 1.2 }
        )
      }
    }

    return targets
  }
}
