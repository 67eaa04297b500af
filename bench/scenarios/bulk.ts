import { multiaddr } from '@multiformats/multiaddr'
import { transportOf } from '../../src/index.ts'
import { askStatus, Lane, MAX_STREAMS } from '../parts/bulk/lane.ts'
import { cellsOf, KIB_64, measureCells, printCells } from '../parts/bulk/matrix.ts'
import { PATHS } from '../parts/bulk/paths.ts'
import { PLAIN, SEND_BULK, WAITING } from '../parts/bulk/ways.ts'
import { print } from '../parts/print.ts'
import { ratioOf } from '../parts/statistics.ts'
import { withChild } from '../parts/with-child.ts'
import type { Cell, Matrix, Measured } from '../parts/bulk/matrix.ts'
import type { Way } from '../parts/bulk/ways.ts'
import type { Scenario, ScenarioInit } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'

const MIB = 1024 * 1024

/**
 * In bytes. The last one is what the CPU time is shown for.
 */
const CHUNKS = [MIB, KIB_64]

/**
 * How much of a sample it takes until the code is compiled
 */
const WARM_UP = 0.1

/**
 * How many streams the session over QUIC has
 */
const SESSION = 4

const BASE = 'QUIC, a single stream'

interface Group {
  streams: number
  rounds: number

  /**
   * How much of what a path usually takes is sent for a sample
   */
  scale(path: string): number
}

/**
 * What the targets are about is sampled the most, and what takes long the least. Several
 * streams over QUIC are faster than one.
 */
function groupsOf (quick: boolean): Group[] {
  const several = (path: string): number => path === 'QUIC' ? 1.2 : 0.45

  return quick
    ? [1, SESSION, MAX_STREAMS].map(streams => ({ streams, rounds: 2, scale: path => path === 'QUIC' ? 0.6 : 0.2 }))
    : [
        { streams: 1, rounds: 4, scale: () => 1 },
        { streams: SESSION, rounds: 3, scale: several },
        { streams: MAX_STREAMS, rounds: 1, scale: several }
      ]
}

/**
 * What a session over QUIC is compared with has to be measured beside it
 */
function singleStreams (matrix: Matrix): Cell[] {
  return cellsOf({ ...matrix, streams: 1, scale: path => matrix.scale(path) / 2 })
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

    const listenerCpu = async (): Promise<number> => (await askStatus(control.connection)).cpu

    for (const { streams, rounds, scale } of groupsOf(quick)) {
      print(`measuring ${streams === 1 ? '1 stream' : `${streams} streams at once`} ...`)
      await Promise.all(lanes.map(async lane => lane.prepare(streams === 1 ? 'shared' : 'per-stream', streams)))

      const matrix: Matrix = { lanes, sockets, streams, chunks: CHUNKS, scale }

      if (streams === 1) {
        await measureCells(cellsOf({ ...matrix, scale: () => WARM_UP }), listenerCpu, { warmUp: 1, rounds: 0 })
      }

      const cells = [...cellsOf(matrix), ...(streams === SESSION ? singleStreams(matrix) : [])]
      const measured = await measureCells(cells, listenerCpu, { warmUp: 0, rounds })

      printCells(measured, recorder)
      all.push(...measured)
    }

    return all
  } finally {
    await Promise.all(lanes.map(async lane => lane.close()))
  }
}

function targetsOf (measured: Measured[]): Target[] {
  const rates = (path: string, way: Way, { streams = 1, chunk = KIB_64 } = {}): number[] => {
    const cell = measured.find(cell => cell.path === path && cell.way === way.name && cell.streams === streams && cell.chunk === chunk)

    return cell?.samples.map(({ rate }) => rate) ?? []
  }

  return [
    ...[PLAIN, WAITING].flatMap(stock => [
      ...['TCP + noise', 'TCP + tls'].map((path): Target => ({
        name: `MB/s of sendBulk / ${stock.name}, 64 KiB source, over ${path}`,
        value: ratioOf(rates(path, SEND_BULK), rates(path, stock)),
        atLeast: 1.6
      })),
      {
        name: `MB/s of sendBulk on ${SESSION} streams of a session / ${stock.name} on one, 64 KiB source, over QUIC`,
        value: ratioOf(rates('QUIC', SEND_BULK, { streams: SESSION }), rates(BASE, stock)),
        atLeast: 2
      }
    ]),
    ...PATHS.map(({ name }): Target => ({
      name: `MB/s of sendBulk, 64 KiB source / ${WAITING.name}, 1 MiB source, over ${name}`,
      value: ratioOf(rates(name, SEND_BULK), rates(name, WAITING, { chunk: MIB })),
      atLeast: 0.9
    }))
  ]
}

export const bulk: Scenario = {
  name: 'bulk',
  about: 'Bulk data from one process to another, beside what libp2p and bare sockets do, on loopback',

  async run (init) {
    return withChild('./bulk/child.ts', [], async (addrs: string[]) => targetsOf(await measure(addrs, init)))
  }
}
