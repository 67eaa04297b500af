import { setTimeout as delay } from 'node:timers/promises'
import { yamux } from '@libp2p/yamux'
import { ECHO } from '../../test/fixtures/streams.ts'
import { bareMuxer } from '../parts/bare-muxer.ts'
import { connectAll } from '../parts/connect-all.ts'
import { exchange } from '../parts/exchange.ts'
import { IDLE, MANY_STREAMS } from '../parts/idle.ts'
import { interleave } from '../parts/interleave.ts'
import { heldPerPeer } from '../parts/memory.ts'
import { print } from '../parts/print.ts'
import { summarise } from '../parts/statistics.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { runBlock } from '../parts/throughput.ts'
import { withChild } from '../parts/with-child.ts'
import { withDialer } from '../parts/with-dialer.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Summary } from '../parts/statistics.ts'
import type { Target } from '../parts/targets.ts'
import type { Block } from '../parts/throughput.ts'
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

const BLOCK_SIZE = 150

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

interface Cost {
  size: Size

  /**
   * The whole of an open with an echo, and the opener's share of it, in us
   */
  newStream: Record<'cpu' | 'wall', Summary>
  bareMuxer: Record<'cpu' | 'wall', Summary>
  share: Record<'cpu' | 'wall', Summary>
}

async function measureCost (grown: Grown[], init: InterleaveInit): Promise<Cost[]> {
  const samples = await interleave(Object.fromEntries(grown.flatMap(({ size, dialer, peers }) => {
    const { connection } = peers[0] as IdentifyResult
    const { streamOpener } = dialer.services

    return [
      [`newStream ${size}`, async () => runBlock(async () => streamOpener.newStream(connection.remotePeer, ECHO), BLOCK_SIZE, 'close() returned')],
      [`bareMuxer ${size}`, async () => runBlock(bareMuxer(connection), BLOCK_SIZE, 'close() returned')]
    ]
  })), init) as Record<string, Block[]>

  return grown.map(({ size }) => {
    const of = (opener: string, figure: 'cpu' | 'wall'): number[] => (samples[`${opener} ${size}`] ?? []).map(({ cpu, perSecond }) => figure === 'cpu' ? cpu : 1_000_000 / perSecond)
    const figures = (fn: (figure: 'cpu' | 'wall') => number[]): Record<'cpu' | 'wall', Summary> => ({ cpu: summarise(fn('cpu')), wall: summarise(fn('wall')) })

    return {
      size,
      newStream: figures(figure => of('newStream', figure)),
      bareMuxer: figures(figure => of('bareMuxer', figure)),
      // of blocks that are next to each other
      share: figures(figure => {
        const bare = of('bareMuxer', figure)

        return of('newStream', figure).map((value, i) => value - (bare[i] ?? NaN))
      })
    }
  })
}

function printCosts (of: string, costs: Cost[]): Target {
  printTable(
    [of, '', 'CPU per open, us', 'bare muxer', "opener's share", 'time per open, us', 'bare muxer', "opener's share"],
    costs.map(({ size, newStream, bareMuxer, share }) => [
      number(size), '',
      spread(newStream.cpu), spread(bareMuxer.cpu), spread(share.cpu),
      spread(newStream.wall), spread(bareMuxer.wall), spread(share.wall)
    ])
  )

  const [least, , most] = costs as [Cost, Cost, Cost]

  return {
    name: `CPU that an open with ${number(most.size)} ${of} takes of the opener more than with ${least.size}, to that of the bare muxer`,
    value: (most.share.cpu.median - least.share.cpu.median) / least.bareMuxer.cpu.median,
    atMost: 0.1
  }
}

async function measureMemory ({ dialer, peers }: Grown, init: InterleaveInit): Promise<Target[]> {
  async function use (opener: Dialer['services']['streamOpener'], connection: Connection): Promise<void> {
    await exchange(await opener.newStreamOn(connection, ECHO), 'closed at both ends')
  }

  const samples = await interleave({
    'connected and identified': async () => heldPerPeer(dialer, peers),
    'and had a stream': async () => heldPerPeer(dialer, peers, use)
  }, init)

  printTable(['idle peers', '', 'bytes of the heap for each'], Object.entries(samples).map(([name, bytes]) => [name, number(peers.length), spread(summarise(bytes))]))

  return Object.entries(samples).map(([name, bytes]) => ({ name: `KiB for each idle peer (${name})`, value: summarise(bytes).median / 1024, atMost: 2 }))
}

export const growth: Scenario = {
  name: 'growth',
  about: `What an open costs with ${SIZES.map(size => number(size)).join(', ')} connected peers and open streams, and the memory for each peer, on loopback`,

  async run ({ quick }) {
    const init = { warmUp: 4, rounds: quick ? 6 : 24 }
    const targets: Target[] = []

    print('connecting to the peers ...')

    await withChild('./crowd.ts', [`${SIZES[2]}`], async (addresses: string[]) => {
      await withGrown(async (dialer, size) => connectAll(dialer, addresses.slice(0, size)), async grown => {
        print('measuring with more and more peers over tcp ...')
        targets.push(printCosts('connected peers', await measureCost(grown, init)))

        print('measuring the memory ...')
        targets.push(...await measureMemory(grown.at(-1) as Grown, { warmUp: 2, rounds: quick ? 2 : 5 }))
      })
    })

    await withChild('./crowd.ts', ['1'], async (addr: string[]) => {
      await withGrown(async (dialer, size) => growStreams(dialer, addr, size), async grown => {
        print('measuring with more and more streams over tcp ...')
        targets.push(printCosts('open streams', await measureCost(grown, init)))
      })
    })

    return targets
  }
}
