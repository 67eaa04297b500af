import { ECHO } from '../../test/support/streams.ts'
import { besideNoise } from '../parts/beside-noise.ts'
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
import type { Recorder } from '../parts/recorder.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Estimate } from '../parts/statistics.ts'
import type { Target } from '../parts/targets.ts'
import type { Block, BlockInit } from '../parts/throughput.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

const SIZE = 200

/**
 * How the streams follow each other. The first one over a transport warms up for all of
 * them: with less than that V8 has not compiled everything at either end.
 */
const MODES = {
  'one after the other': { size: SIZE, ending: 'close() returned', warmUp: 36 },
  'each after the FIN': { size: SIZE, ending: 'closed at both ends', warmUp: 6 },
  '32 in flight': { size: 2 * SIZE, ending: 'closed at both ends', inFlight: 32, warmUp: 3 }
} satisfies Record<string, BlockInit & { warmUp: number }>

/**
 * How many times as fast as `dialProtocol` it is has no target: that is up to what the bare
 * muxer reaches
 */
const MOST_TO_BARE_MUXER = 1.1

export async function measureSequential <O extends Opener> (addr: Multiaddr, openers: readonly O[], block: BlockInit, init: InterleaveInit): Promise<Record<O, Block[]>> {
  return withConnection(addr, async (dialer, connection) => {
    const open = openersOf(dialer, connection, ECHO)

    return interleave(Object.fromEntries(openers.map(opener => [opener, async () => runBlock(open[opener], block)])), init) as Promise<Record<O, Block[]>>
  })
}

function report (transport: string, mode: string, blocks: Record<Opener, Block[]>, recorder: Recorder): Target[] {
  const of = (opener: Opener, figure: keyof Block): number[] => blocks[opener].map(block => block[figure])
  const toStock = (opener: Opener): Estimate => pairedRatioOf(of('dialProtocol', 'time'), of(opener, 'time'))
  const toLimit = (opener: Opener, figure: keyof Block): Estimate => pairedRatioOf(of(opener, figure), of('bareMuxer', figure))

  printTable(['transport', 'opened by', 'us per open', 'times as fast', 'to the limit', 'CPU per open, us', 'to the limit'], OPENERS.map(opener => {
    const labels = { transport, mode, 'opened by': opener }

    return [
      transport,
      opener,
      spread(recorder.add('time per open', 'us', labels, of(opener, 'time'))),
      number(toStock(opener).median, 2),
      number(toLimit(opener, 'time').median, 2),
      spread(recorder.add('CPU per open', 'us', labels, of(opener, 'cpu'))),
      number(toLimit(opener, 'cpu').median, 2)
    ]
  }))

  return [
    { name: `time of newStream to the bare muxer over ${transport}, ${mode}`, value: toLimit('newStream', 'time'), atMost: MOST_TO_BARE_MUXER },
    { name: `CPU of newStream to the bare muxer over ${transport}, ${mode}`, value: toLimit('newStream', 'cpu'), atMost: MOST_TO_BARE_MUXER }
  ]
}

export const sequential: Scenario = {
  name: 'sequential',
  about: 'Opening a stream, an echo of 32 bytes and closing it, one after the other and 32 at a time, on loopback',

  async run ({ quick, recorder }) {
    const targets: Target[] = []

    for (const transport of TRANSPORTS) {
      await withListener(transport, async addresses => {
        for (const [mode, { warmUp, ...block }] of Object.entries(MODES)) {
          print(`measuring over ${transport}, ${mode} ...`)

          const blocks = await measureSequential(addresses[0], OPENERS, block, { warmUp, rounds: quick ? 8 : 12 })

          targets.push(...report(transport, mode, blocks, recorder))
        }
      })
    }

    const { warmUp, ...block } = MODES['one after the other']

    targets.push(...await besideNoise({
      name: 'an open, an echo and a close',
      roundTrip: 0,
      recorder,
      warmUp,
      rounds: quick ? 8 : 20,
      block: async (dialer, connection) => runBlock(openersOf(dialer, connection, ECHO).newStream, block)
    }))

    return targets
  }
}
