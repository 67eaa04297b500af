import { setTimeout as delay } from 'node:timers/promises'
import { yamux } from '@libp2p/yamux'
import { ECHO } from '../../test/support/streams.ts'
import { bareMuxer } from '../parts/bare-muxer.ts'
import { connectAll } from '../parts/connect-all.ts'
import { exchangeTimed } from '../../test/support/exchange.ts'
import { IDLE, MANY_STREAMS } from '../parts/idle.ts'
import { interleave } from '../parts/interleave.ts'
import { heldPerPeer } from '../parts/memory.ts'
import { print } from '../parts/print.ts'
import { medianOf, summarise } from '../parts/statistics.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { runBlock } from '../parts/throughput.ts'
import { withChild } from '../parts/with-child.ts'
import { withDialer } from '../parts/with-dialer.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Recorder } from '../parts/recorder.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'
import type { Block, BlockInit } from '../parts/throughput.ts'
import type { Dialer } from '../parts/with-dialer.ts'
import type { Connection, IdentifyResult } from '@libp2p/interface'

const SIZES = [1, 100, 1000] as const

type Size = typeof SIZES[number]

/**
 * A node that has so many peers, or streams, and those that it has identified - the
 * first one of them is the one that streams are opened to
 */
interface Grown {
  size: Size
  dialer: Dialer
  peers: IdentifyResult[]
}

const BLOCK: BlockInit = { size: 150, ending: 'close() returned' }

/**
 * Calls the function with a node of each size
 */
async function withGrown <T> (grow: (dialer: Dialer, size: Size) => Promise<IdentifyResult[]>, fn: (grown: Grown[]) => Promise<T>, grown: Grown[] = []): Promise<T> {
  const size = SIZES[grown.length]

  if (size == null) {
    return fn(grown)
  }

  return withDialer(async dialer => withGrown(grow, fn, [...grown, { size, dialer, peers: await grow(dialer, size) }]), {
    connectionManager: { maxConnections: 2 * SIZES[2] },
    streamMuxers: [yamux({ maxOutboundStreams: MANY_STREAMS })]
  })
}

async function growStreams (dialer: Dialer, addr: string[], size: Size): Promise<IdentifyResult[]> {
  const peers = await connectAll(dialer, addr)
  const { connection } = peers[0] as IdentifyResult

  // one is what is measured
  for (let i = 1; i < size; i++) {
    await dialer.services.streamOpener.newStreamOn(connection, IDLE, { maxOutboundStreams: MANY_STREAMS })
  }

  // until all of them are confirmed
  await delay(500)

  return peers
}

type Costs = Record<`${'newStream' | 'bareMuxer'} ${Size}`, Block[]>

async function measureCosts (grown: Grown[], init: InterleaveInit): Promise<Costs> {
  return interleave(Object.fromEntries(grown.flatMap(({ size, dialer, peers }) => {
    const { connection } = peers[0] as IdentifyResult
    const { streamOpener } = dialer.services

    return [
      [`newStream ${size}`, async () => runBlock(async () => streamOpener.newStream(connection.remotePeer, ECHO), BLOCK)],
      [`bareMuxer ${size}`, async () => runBlock(bareMuxer(connection), BLOCK)]
    ]
  })), init) as Promise<Costs>
}

/**
 * Prints what an open with an echo costs, and the opener's share of it
 */
function report (recorder: Recorder, grownIn: string, costs: Costs): Target {
  const of = (opener: 'newStream' | 'bareMuxer', size: Size, figure: keyof Block): number[] => costs[`${opener} ${size}`].map(block => block[figure])
  // of blocks that are next to each other
  const shareOf = (size: Size, figure: keyof Block): number[] => {
    const bare = of('bareMuxer', size, figure)

    return of('newStream', size, figure).map((value, i) => value - (bare[i] ?? NaN))
  }

  printTable(
    [grownIn, '', 'CPU per open, us', 'bare muxer', "opener's share", 'time per open, us', 'bare muxer', "opener's share"],
    SIZES.map(size => {
      const add = (figure: keyof Block, name: string): string[] => [
        spread(recorder.add(name, 'us', { 'grown in': grownIn, size, 'opened by': 'newStream' }, of('newStream', size, figure))),
        spread(recorder.add(name, 'us', { 'grown in': grownIn, size, 'opened by': 'bareMuxer' }, of('bareMuxer', size, figure))),
        spread(summarise(shareOf(size, figure)))
      ]

      return [number(size), '', ...add('cpu', 'CPU per open'), ...add('time', 'time per open')]
    })
  )

  const [least, , most] = SIZES
  const bare = of('bareMuxer', least, 'cpu')
  const before = shareOf(least, 'cpu')

  return {
    name: `CPU that an open with ${number(most)} ${grownIn} takes of the opener more than with ${least}, to that of the bare muxer`,
    value: medianOf(shareOf(most, 'cpu').map((share, i) => (share - (before[i] ?? NaN)) / (bare[i] ?? NaN))),
    atMost: 0.1
  }
}

async function measureMemory (recorder: Recorder, { dialer, peers }: Grown, init: InterleaveInit): Promise<Target[]> {
  async function use (opener: Dialer['services']['streamOpener'], connection: Connection): Promise<void> {
    await exchangeTimed(await opener.newStreamOn(connection, ECHO), 'closed at both ends')
  }

  const samples = await interleave({
    'connected and identified': async () => heldPerPeer(dialer, peers),
    'and had a stream': async () => heldPerPeer(dialer, peers, use)
  }, init)

  const held = Object.entries(samples).map(([name, bytes]) => ({ name, bytes, summary: recorder.add('heap for each idle peer', 'bytes', { peers: peers.length, after: name }, bytes) }))

  printTable(['idle peers', '', 'bytes of the heap for each'], held.map(({ name, summary }) => [name, number(peers.length), spread(summary)]))

  return held.map(({ name, bytes }) => ({ name: `KiB for each idle peer (${name})`, value: medianOf(bytes.map(bytes => bytes / 1024)), atMost: 2 }))
}

export const growth: Scenario = {
  name: 'growth',
  about: `What an open costs with ${SIZES.map(size => number(size)).join(', ')} connected peers and open streams, and the memory for each peer, on loopback`,

  async run ({ quick, recorder }) {
    const init = { warmUp: 4, rounds: quick ? 6 : 16 }
    const targets: Target[] = []

    print('connecting to the peers ...')

    await withChild('./crowd.ts', [`${SIZES[2]}`], async (addresses: string[]) => {
      await withGrown(async (dialer, size) => connectAll(dialer, addresses.slice(0, size)), async grown => {
        print('measuring with more and more peers over tcp ...')
        targets.push(report(recorder, 'connected peers', await measureCosts(grown, init)))

        print('measuring the memory ...')
        targets.push(...await measureMemory(recorder, grown.at(-1) as Grown, { warmUp: 2, rounds: quick ? 2 : 5 }))
      })
    })

    await withChild('./crowd.ts', ['1'], async (addr: string[]) => {
      await withGrown(async (dialer, size) => growStreams(dialer, addr, size), async grown => {
        print('measuring with more and more streams over tcp ...')
        targets.push(report(recorder, 'open streams', await measureCosts(grown, init)))
      })
    })

    return targets
  }
}
