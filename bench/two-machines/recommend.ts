import { print } from '../parts/print.ts'
import { summarise } from '../parts/statistics.ts'
import { number } from '../parts/table.ts'
import { BOTH_ENDS } from '../parts/bulk/ways.ts'
import type { Measured } from '../parts/bulk/matrix.ts'
import type { Path } from '../parts/bulk/paths.ts'

/**
 * Fewer connections and streams are worth so much of the throughput
 */
const GOOD_ENOUGH = 0.9

interface Candidate extends Measured {
  rate: number
}

/**
 * The simplest one that is nearly as fast as the fastest
 */
function best (candidates: Candidate[]): Candidate | undefined {
  const fastest = Math.max(...candidates.map(({ rate }) => rate))
  const cost = ({ connections, streams }: Candidate): number => (connections === 'shared' ? 1 : streams) * 1000 + streams

  return candidates
    .filter(({ rate }) => rate >= GOOD_ENOUGH * fastest)
    .toSorted((a, b) => cost(a) - cost(b) || b.rate - a.rate)[0]
}

function describe ({ path, connections, streams, rate }: Candidate): string {
  const layout = streams === 1 ? 'a single stream' : `${streams} streams ${connections === 'shared' ? 'on one connection' : 'on a connection each'}`

  return `${path}, ${layout}: ${number(rate)} MB/s`
}

export function recommend (measured: Measured[], paths: Path[]): void {
  const candidates = measured
    .filter(({ way }) => way === BOTH_ENDS.name)
    .map(cell => ({ ...cell, rate: summarise(cell.samples.map(({ rate }) => rate)).median }))
  const choice = best(candidates)
  const path = paths.find(({ name }) => name === choice?.path)

  if (choice == null || path == null) {
    return
  }

  print('\nThe best of each path, with sendBulk here and receiveBulk there:')

  for (const { name } of paths) {
    const ofPath = best(candidates.filter(({ path }) => path === name))

    if (ofPath != null) {
      print(`  ${describe(ofPath)}`)
    }
  }

  const perStream = choice.connections === 'per-stream' ? `, connections: 'per-stream', maxConnections: ${choice.streams}` : ''

  print(`\nFor bulk data on this path, in this direction: ${describe(choice)}`)
  print(`  openBulkSession(peer, protocol, { transport: '${path.transport}'${perStream} })`)

  if (path.needs != null) {
    print(`  with ${path.needs}`)
  }

  print(`Less than ${number((1 - GOOD_ENOUGH) * 100)}% slower counts as equal, then fewer connections and streams are better`)
}
