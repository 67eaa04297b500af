import { ECHO } from '../../test/fixtures/streams.ts'
import { interleave } from '../parts/interleave.ts'
import { OPENERS, openersOf } from '../parts/openers.ts'
import { print } from '../parts/print.ts'
import { pairedRatioOf } from '../parts/statistics.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { runBlock } from '../parts/throughput.ts'
import { TRANSPORTS } from '../parts/transports.ts'
import { withConnection } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Opener } from '../parts/openers.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'
import type { Block, BlockInit } from '../parts/throughput.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

const SIZE = 200

/**
 * How the streams follow each other
 */
const MODES: Record<string, BlockInit> = {
  'one after the other': { size: SIZE, ending: 'close() returned' },
  'each after the FIN': { size: SIZE, ending: 'closed at both ends' },
  '32 in flight': { size: 2 * SIZE, ending: 'closed at both ends', inFlight: 32 }
}

/**
 * How many times as fast as `dialProtocol` it should be
 */
const SPEED_UP: Record<string, Partial<Record<string, number>>> = {
  tcp: { 'one after the other': 2.4, 'each after the FIN': 2.4, '32 in flight': 1.3 },
  quic: { 'one after the other': 1.8, 'each after the FIN': 1.8 }
}

const MOST_TO_BARE_MUXER = 1.1

export async function measureSequential <O extends Opener> (addr: Multiaddr, openers: readonly O[], block: BlockInit, init: InterleaveInit): Promise<Record<O, Block[]>> {
  return withConnection(addr, async (dialer, connection) => {
    const open = openersOf(dialer, connection, ECHO)

    return interleave(Object.fromEntries(openers.map(opener => [opener, async () => runBlock(open[opener], block)])), init) as Promise<Record<O, Block[]>>
  })
}

export const sequential: Scenario = {
  name: 'sequential',
  about: 'Opening a stream, an echo of 32 bytes and closing it, one after the other and 32 at a time, on loopback',

  async run ({ quick, recorder }) {
    const targets: Target[] = []

    for (const transport of TRANSPORTS) {
      for (const [mode, block] of Object.entries(MODES)) {
        print(`measuring over ${transport}, ${mode} ...`)

        const blocks = await withListener(transport, async addresses => measureSequential(addresses[0], OPENERS, block, { warmUp: 16, rounds: quick ? 8 : 12 }))
        const of = (opener: Opener, figure: keyof Block): number[] => blocks[opener].map(block => block[figure])

        printTable(['transport', 'opened by', 'us per open', 'times as fast', 'to the limit', 'CPU per open, us', 'to the limit'], OPENERS.map(opener => {
          const labels = { transport, mode, 'opened by': opener }
          const toStock = pairedRatioOf(of('dialProtocol', 'time'), of(opener, 'time'))
          const toLimit = pairedRatioOf(of(opener, 'time'), of('bareMuxer', 'time'))
          const cpuToLimit = pairedRatioOf(of(opener, 'cpu'), of('bareMuxer', 'cpu'))
          const atLeast = SPEED_UP[transport]?.[mode]

          if (opener === 'newStream' && atLeast != null) {
            targets.push({ name: `how many times as fast as dialProtocol over ${transport}, ${mode}`, value: toStock, atLeast })
          }

          if (opener === 'newStream') {
            targets.push(
              { name: `time of newStream to the bare muxer over ${transport}, ${mode}`, value: toLimit, atMost: MOST_TO_BARE_MUXER },
              { name: `CPU of newStream to the bare muxer over ${transport}, ${mode}`, value: cpuToLimit, atMost: MOST_TO_BARE_MUXER }
            )
          }

          return [
            transport,
            opener,
            spread(recorder.add('time per open', 'us', labels, of(opener, 'time'))),
            number(toStock.median, 2),
            number(toLimit.median, 2),
            spread(recorder.add('CPU per open', 'us', labels, of(opener, 'cpu'))),
            number(cpuToLimit.median, 2)
          ]
        }))
      }
    }

    return targets
  }
}
