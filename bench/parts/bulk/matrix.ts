/**
 * All that is measured beside each other
 */
import { interleave } from '../interleave.ts'
import { number, printTable, spread } from '../table.ts'
import { SOCKET_AMOUNT } from './paths.ts'
import { transfer } from './pipe.ts'
import { openSocket } from './sockets.ts'
import { WAYS } from './ways.ts'
import type { Lane } from './lane.ts'
import type { SocketName } from './paths.ts'
import type { Pipe, Sample } from './pipe.ts'
import type { Way } from './ways.ts'
import type { BulkConnections } from '../../../src/index.ts'
import type { InterleaveInit } from '../interleave.ts'
import type { Recorder } from '../recorder.ts'
import type { Summary } from '../statistics.ts'

const MIB = 1024 * 1024

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

  /**
   * How much is sent, in bytes
   */
  amount: number

  open(): Promise<Pipe[]>
}

export interface Measured extends Cell {
  samples: Sample[]
}

export interface Sockets {
  host: string
  ports: Partial<Record<SocketName, number>>
}

export interface Matrix {
  lanes: Lane[]
  sockets: Sockets
  streams: number
  chunks: number[]

  /**
   * How much of what a path usually takes is sent for a sample
   */
  scale(path: string): number
}

function cell (lane: Lane, way: Way, connections: BulkConnections, streams: number, chunk: number, scale: number): Cell {
  return {
    path: lane.path.name,
    way: way.name,
    connections,
    streams,
    chunk,
    amount: lane.path.amount * MIB * scale,
    open: async () => lane.openPipes(way, connections, streams)
  }
}

/**
 * Two rows that are the same are one: a single stream has a connection of its own
 * either way
 */
export function cellsOf ({ lanes, sockets: { host, ports }, streams, chunks, scale }: Matrix): Cell[] {
  const sharing: BulkConnections[] = streams === 1 ? ['shared'] : ['shared', 'per-stream']

  return [
    ...lanes.flatMap(lane => sharing.flatMap(connections => WAYS.flatMap(way => chunks.map(chunk => {
      return cell(lane, way, connections, streams, chunk, scale(lane.path.name))
    })))),
    ...Object.entries(ports).flatMap(([name, port]) => chunks.map((chunk): Cell => ({
      path: 'bare socket',
      way: name,
      connections: 'per-stream',
      streams,
      chunk,
      amount: SOCKET_AMOUNT * MIB * scale('bare socket'),
      open: async () => Promise.all(Array.from({ length: streams }, async () => openSocket(name as SocketName, host, port)))
    })))
  ]
}

export async function measureCells (cells: Cell[], listenerCpu: () => Promise<number>, init: InterleaveInit): Promise<Measured[]> {
  const samples = await interleave(Object.fromEntries(cells.map((cell, i) => [i, async () => {
    return transfer(await cell.open(), { ...cell, listenerCpu })
  }])), init)

  return cells.map((cell, i) => ({ ...cell, samples: samples[i] ?? [] }))
}

/**
 * Records the raw samples
 */
export function record (recorder: Recorder, { path, way, connections, streams, chunk, samples }: Measured): Record<keyof Sample, Summary> {
  const labels = { path, way, connections, streams, 'source, KiB': chunk / 1024 }
  const add = (figure: string, unit: string, key: keyof Sample): Summary => {
    return recorder.add(figure, unit, labels, samples.map(sample => sample[key]))
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
  const rows = new Map<string, string[]>()

  for (const cell of measured) {
    const { path, way, connections, streams, chunk } = cell
    const name = streams === 1 || path === 'bare socket' ? path : `${path}, ${connections}`
    const { rate, dialer, listener, buffered } = record(recorder, cell)
    const row = rows.get(`${name} ${way}`) ?? [name, way]

    row.push(spread(rate))

    // the source makes hardly any difference for the others
    if (chunk === chunks.at(-1)) {
      row.push(number(dialer.median, 2), number(listener.median, 2), number(buffered.median, 1))
    }

    rows.set(`${name} ${way}`, row)
  }

  printTable(['path', `sent with, ${measured[0]?.streams} at once`, ...chunks.map(chunk => `MB/s of ${number(chunk / 1024)} KiB`), 'ms CPU/MB', 'listener', 'MiB waiting'], [...rows.values()])
}
