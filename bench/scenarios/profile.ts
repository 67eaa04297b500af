import { sum } from 'simple-statistics'
import { ECHO } from '../../test/support/streams.ts'
import { sharesOf, withProfiler } from '../parts/cpu-profile.ts'
import { interleave } from '../parts/interleave.ts'
import { OPENERS, openersOf } from '../parts/openers.ts'
import { print } from '../parts/print.ts'
import { number, printTable } from '../parts/table.ts'
import { runBlock } from '../parts/throughput.ts'
import { TRANSPORTS } from '../parts/transports.ts'
import { withConnection } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import type { Profiler, Share } from '../parts/cpu-profile.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Opener } from '../parts/openers.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { BlockInit } from '../parts/throughput.ts'
import type { Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const BLOCK: BlockInit = { size: 250, ending: 'closed at both ends' }

/**
 * How many functions of ours are named
 */
const NAMED = 15

const PARTS: Record<string, string> = {
  src: 'this package',
  '@libp2p/yamux': 'muxer (yamux, or QUIC)',
  '@chainsafe/libp2p-quic': 'muxer (yamux, or QUIC)',
  '@libp2p/noise': 'encrypter (noise)',
  '@libp2p/tcp': 'socket and Node.js',
  node: 'socket and Node.js',
  libp2p: 'rest of libp2p',
  'garbage collection': 'garbage and native code',
  'native code': 'garbage and native code',
  bench: 'this benchmark'
}

function partOf ({ owner }: Share): string {
  return PARTS[owner] ?? (/^@libp2p\/|^main-event$/.test(owner) ? 'rest of libp2p' : 'other packages')
}

/**
 * The profiler knows how the time was spent, but not that somebody else had the CPU
 * in between: its shares are made to add up to the CPU time
 */
async function takeShares (profile: Profiler, open: () => Promise<Stream>): Promise<Share[]> {
  let cpu = 0
  const shares = sharesOf(await profile(async () => { ({ cpu } = await runBlock(open, BLOCK)) }))
  const busy = shares.filter(({ owner }) => owner !== 'idle')
  const all = sum(busy.map(({ time }) => time))

  return busy.map(share => ({ ...share, time: share.time * cpu / all }))
}

async function measure (addr: Multiaddr, init: InterleaveInit): Promise<Record<Opener, Share[][]>> {
  return withConnection(addr, async (dialer, connection) => withProfiler(async profile => {
    const open = openersOf(dialer, connection, ECHO)

    return interleave(Object.fromEntries(OPENERS.map(opener => [opener, async () => takeShares(profile, open[opener])])), init) as Promise<Record<Opener, Share[][]>>
  }))
}

function printOurs (blocks: Share[][]): void {
  const times = new Map<string, number>()

  for (const { owner, name, time } of blocks.flat()) {
    if (owner === 'src') {
      times.set(name, (times.get(name) ?? 0) + time / blocks.length)
    }
  }

  const largest = [...times].toSorted(([, a], [, b]) => b - a).slice(0, NAMED)

  printTable(['function of this package', '', 'us per open'], largest.map(([name, time]) => [name, '', number(time, 1)]))
}

export const profile: Scenario = {
  name: 'profile',
  about: 'Where the CPU time of an open, an echo and a close goes, one after the other on loopback, by the V8 profiler',

  async run ({ quick, recorder }) {
    for (const transport of TRANSPORTS) {
      print(`measuring over ${transport} ...`)

      const blocks = await withListener(transport, async addresses => measure(addresses[0], { warmUp: 8, rounds: quick ? 2 : 4 }))
      const parts = [...new Set([...Object.values(PARTS), 'other packages'])]

      const rows = parts.map(part => [part, transport, ...OPENERS.map(opener => {
        const times = blocks[opener].map(shares => sum(shares.filter(share => partOf(share) === part).map(({ time }) => time)))

        return number(recorder.add('CPU per open', 'us', { transport, part, 'opened by': opener }, times).median, 1)
      })])

      printTable(['part', 'transport', ...OPENERS], rows)
      printOurs(blocks.newStream)
    }

    return []
  }
}
