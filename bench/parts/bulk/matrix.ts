/**
 * All that is measured beside each other
 */
import { interleave } from '../interleave.ts'
import { number, printTable, spread } from '../table.ts'
import { SOCKET_AMOUNT } from './paths.ts'
import { transfer } from './pipe.ts'
import { openSocket } from './sockets.ts'
import type { Lane } from './lane.ts'
import type { SocketName } from './paths.ts'
import type { Sample } from './pipe.ts'
import type { Way } from './ways.ts'
import type { BulkConnections } from '../../../src/index.ts'
import type { InterleaveInit } from '../interleave.ts'
import type { Recorder } from '../recorder.ts'
import type { Summary } from '../statistics.ts'

export const MIB = 1024 * 1024

export const KIB_64 = 64 * 1024

export interface Cell {
  path: string
  way: string
  connections: BulkConnections
  streams: number

  /**
   * The length of the chunks of the source, in bytes
   */
  chunk: number

  sample(): Promise<Sample>
}

export interface Measured extends Cell {
  samples: Sample[]
}

export interface Sockets {
  host: string
  ports: Partial<Record<SocketName, number>>
}

export interface CellsInit {
  streams: number
  chunks: number[]

  /**
   * How much of what a path usually takes is sent for a sample
   */
  scale(path: string): number

  /**
   * The CPU time of the listener, in us
   */
  listenerCpu(): Promise<number>
}

export interface LaneCellsInit extends CellsInit {
  ways: Way[]
  connections: BulkConnections[]
}

export function laneCells (lanes: Lane[], { ways, connections, chunks, scale, ...init }: LaneCellsInit): Cell[] {
  return lanes.flatMap(lane => connections.flatMap(connections => ways.flatMap(way => chunks.map((chunk): Cell => ({
    path: lane.path.name,
    way: way.name,
    connections,
    streams: init.streams,
    chunk,
    sample: async () => transfer(await lane.openPipes(way, connections, init.streams), {
      ...init,
      amount: lane.path.amount * MIB * scale(lane.path.name),
      chunk
    })
  })))))
}

/**
 * As many sockets as there are streams
 */
export function socketCells ({ host, ports }: Sockets, { streams, chunks, scale, listenerCpu }: CellsInit): Cell[] {
  return Object.entries(ports).flatMap(([name, port]) => chunks.map((chunk): Cell => ({
    path: 'bare socket',
    way: name,
    connections: 'per-stream',
    streams,
    chunk,
    sample: async () => {
      const pipes = await Promise.all(Array.from({ length: streams }, async () => openSocket(name as SocketName, host, port)))

      return transfer(pipes, { amount: SOCKET_AMOUNT * MIB * scale('bare socket'), chunk, listenerCpu })
    }
  })))
}

export async function measureCells (cells: Cell[], init: InterleaveInit): Promise<Measured[]> {
  const samples = await interleave(Object.fromEntries(cells.map((cell, i) => [i, cell.sample])), init)

  return cells.map((cell, i) => ({ ...cell, samples: samples[i] ?? [] }))
}

/**
 * Records the raw samples
 */
export function record (recorder: Recorder, { path, way, connections, streams, chunk, samples }: Measured): Partial<Record<keyof Sample, Summary>> {
  const labels = { path, way, connections, streams, 'source, KiB': chunk / 1024 }
  const add = (figure: string, unit: string, key: keyof Sample): Summary | undefined => {
    const values = samples.flatMap(sample => sample[key] ?? [])

    return values.length === 0 ? undefined : recorder.add(figure, unit, labels, values)
  }

  return {
    rate: add('throughput', 'MB/s', 'rate'),
    dialer: add('CPU of the dialer', 'ms/MB', 'dialer'),
    listener: add('CPU of the listener', 'ms/MB', 'listener'),
    buffered: add('most that waited in a stream', 'MiB', 'buffered')
  }
}

/**
 * A row for each way, the sources beside each other
 */
export function printCells (measured: Measured[], recorder: Recorder): void {
  const chunks = [...new Set(measured.map(({ chunk }) => chunk))]
  const print = (summary: Summary | undefined, fn: (summary: Summary) => string): string => summary == null ? '' : fn(summary)
  const rows = Map.groupBy(measured, ({ path, way, connections }) => `${path} ${way} ${connections}`)

  printTable(['path', `sent with, ${measured[0]?.streams} at once`, ...chunks.map(chunk => `MB/s of ${number(chunk / 1024)} KiB`), 'ms CPU/MB', 'listener', 'MiB waiting'], [...rows.values()].map(cells => {
    const recorded = new Map(cells.map(cell => [cell.chunk, record(recorder, cell)]))
    // the source makes hardly any difference for the others
    const { dialer, listener, buffered } = recorded.get(KIB_64) ?? {}
    const [{ path, way, connections, streams }] = cells as [Measured]

    return [
      streams === 1 || path === 'bare socket' ? path : `${path}, ${connections}`,
      way,
      ...chunks.map(chunk => print(recorded.get(chunk)?.rate, spread)),
      print(dialer, ({ median }) => number(median, 2)),
      print(listener, ({ median }) => number(median, 2)),
      print(buffered, ({ median }) => number(median, 1))
    ]
  }))
}
