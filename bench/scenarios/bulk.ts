import { multiaddr } from '@multiformats/multiaddr'
import { transportOf } from '../../src/index.ts'
import { askStatus, Lane, MAX_STREAMS } from '../parts/bulk/lane.ts'
import { cellsOf, KIB_64, measureCells, printCells } from '../parts/bulk/matrix.ts'
import { PATHS } from '../parts/bulk/paths.ts'
import { PLAIN, SEND_BULK, WAITING } from '../parts/bulk/ways.ts'
import { print } from '../parts/print.ts'
import { ratioOf } from '../parts/statistics.ts'
import { withChild } from '../parts/with-child.ts'
import type { Cell, Measured } from '../parts/bulk/matrix.ts'
import type { Way } from '../parts/bulk/ways.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Scenario, ScenarioInit } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'

/**
 * In bytes. The last one is what the CPU time is shown for.
 */
const CHUNKS = [1024 * 1024, KIB_64]

/**
 * How many streams the session over QUIC has
 */
const SESSION = 4

const BASE = 'QUIC, a single stream'

interface Group extends InterleaveInit {
  streams: number
}

/**
 * What the targets are about is sampled the most, and what takes long the least
 */
function groupsOf (quick: boolean): Group[] {
  return [
    { streams: 1, warmUp: 1, rounds: quick ? 3 : 6 },
    { streams: SESSION, warmUp: quick ? 0 : 1, rounds: quick ? 2 : 3 },
    { streams: MAX_STREAMS, warmUp: 0, rounds: 1 }
  ]
}

/**
 * What a session over QUIC is compared with has to be measured beside it
 */
function singleStreams (lanes: Lane[], scale: () => number): Cell[] {
  return cellsOf({ lanes, sockets: { host: '', ports: {} }, streams: 1, chunks: CHUNKS, scale })
    .filter(({ path, way }) => path === 'QUIC' && (way === PLAIN.name || way === WAITING.name))
    .map(cell => ({ ...cell, path: BASE }))
}

async function measure (addrs: string[], { quick, recorder }: ScenarioInit): Promise<Measured[]> {
  const lanes: Lane[] = []
  const all: Measured[] = []

  try {
    for (const path of PATHS) {
      const addr = addrs.map(addr => multiaddr(addr)).find(addr => transportOf(addr) === path.transport)

      if (addr != null) {
        lanes.push(await Lane.open(path, addr))
      }
    }

    const [control] = lanes

    if (control == null) {
      throw new Error('The listener has no address')
    }

    const { ports } = await askStatus(control.connection)
    const sockets = { host: '127.0.0.1', ports: { 'node:net': ports.ip4['node:net'], 'node:tls': ports.ip4['node:tls'] } }

    for (const { streams, ...init } of groupsOf(quick)) {
      print(`measuring ${streams === 1 ? '1 stream' : `${streams} streams at once`} ...`)
      await Promise.all(lanes.map(async lane => lane.prepare(streams === 1 ? 'shared' : 'per-stream', streams)))

      const scale = (): number => quick ? 0.5 : 1
      const cells = cellsOf({ lanes, sockets, streams, chunks: CHUNKS, scale })

      if (streams === SESSION) {
        cells.push(...singleStreams(lanes, scale))
      }

      const measured = await measureCells(cells, async () => (await askStatus(control.connection)).cpu, init)

      printCells(measured, recorder)
      all.push(...measured)
    }

    return all
  } finally {
    await Promise.all(lanes.map(async lane => lane.close()))
  }
}

function targetsOf (measured: Measured[]): Target[] {
  const rates = (path: string, way: Way, streams: number): number[] => {
    const cell = measured.find(cell => cell.path === path && cell.way === way.name && cell.streams === streams && cell.chunk === KIB_64)

    return cell?.samples.map(({ rate }) => rate) ?? []
  }

  return [PLAIN, WAITING].flatMap(stock => [
    ...['TCP + noise', 'TCP + tls'].map((path): Target => ({
      name: `MB/s of sendBulk / ${stock.name}, 64 KiB source, over ${path}`,
      value: ratioOf(rates(path, SEND_BULK, 1), rates(path, stock, 1)),
      atLeast: 1.6
    })),
    {
      name: `MB/s of sendBulk on ${SESSION} streams of a session / ${stock.name} on one, 64 KiB source, over QUIC`,
      value: ratioOf(rates('QUIC', SEND_BULK, SESSION), rates(BASE, stock, 1)),
      atLeast: 2
    }
  ])
}

export const bulk: Scenario = {
  name: 'bulk',
  about: 'Bulk data from one process to another, beside what libp2p and bare sockets do, on loopback',

  async run (init) {
    return withChild('./bulk/child.ts', [], async (addrs: string[]) => targetsOf(await measure(addrs, init)))
  }
}
