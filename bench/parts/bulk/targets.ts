/**
 * What bulk data should be like, beside what was measured together with it
 */
import { print } from '../print.ts'
import { ratioOf, summarise } from '../statistics.ts'
import { GO_TCP, NEW_STREAM } from './go.ts'
import { KIB_64, MIB } from './matrix.ts'
import { PATHS } from './paths.ts'
import { BOTH_ENDS, PLAIN, SEND_BULK, WAITING } from './ways.ts'
import type { Measured } from './matrix.ts'
import type { PathName } from './paths.ts'
import type { Sample } from './pipe.ts'
import type { Estimate } from '../statistics.ts'
import type { Target } from '../targets.ts'

const OURS: PathName = 'TCP + tls on the socket'
const SOCKET = 'bare socket'

interface Which {
  path: string
  way: string
  streams?: number
  chunk?: number
}

type Figure = 'rate' | 'listener'

function samplesOf (measured: Measured[], { path, way, streams = 1, chunk = KIB_64 }: Which, figure: Figure = 'rate'): number[] {
  const samples = measured.find(cell => cell.path === path && cell.way === way && cell.streams === streams && cell.chunk === chunk)?.samples ?? []

  return samples.map((sample: Sample) => sample[figure])
}

/**
 * One stream, and several; as large as people have their chunks, and as small as they
 * come from a file
 */
const LAYOUTS = [
  { streams: 1, chunk: KIB_64, name: '64 KiB source', ways: [BOTH_ENDS, SEND_BULK] },
  { streams: 1, chunk: MIB, name: '1 MiB source', ways: [BOTH_ENDS] },
  { streams: 4, chunk: KIB_64, name: '64 KiB source, 4 streams', ways: [BOTH_ENDS] }
]

/**
 * What does not wait is faster in one place, and what does in another
 */
function fasterLoop (measured: Measured[], which: Omit<Which, 'way'>): Which {
  const [plain, waiting] = [PLAIN, WAITING].map(({ name }): Which => ({ ...which, way: name })) as [Which, Which]
  const rateOf = (which: Which): number => summarise(samplesOf(measured, which)).median

  return rateOf(plain) > rateOf(waiting) ? plain : waiting
}

export function targetsOf (measured: Measured[]): Target[] {
  const ours = { path: OURS, way: BOTH_ENDS.name }
  const ratio = (which: Which, base: Which, figure?: Figure): Estimate => ratioOf(samplesOf(measured, which, figure), samplesOf(measured, base, figure))
  const hasGo = measured.some(({ path }) => path === GO_TCP)

  const mended = { path: 'QUIC, reads mended', way: BOTH_ENDS.name }
  const quic = { path: 'QUIC', way: PLAIN.name }

  return [
    { name: `MB/s over ${OURS} / TCP + noise, ${PLAIN.name}`, value: ratio(ours, { path: 'TCP + noise', way: PLAIN.name }), atLeast: 2.4 },
    { name: `MB/s over ${OURS} / TCP + tls, ${PLAIN.name}`, value: ratio(ours, { path: 'TCP + tls', way: PLAIN.name }), atLeast: 1.6 },
    { name: `MB/s over ${OURS} / node:tls`, value: ratio(ours, { path: SOCKET, way: 'node:tls' }), atLeast: 0.75 },
    { name: `MB/s over ${OURS} / node:tls, 4 streams`, value: ratio({ ...ours, streams: 4 }, { path: SOCKET, way: 'node:tls', streams: 4 }), atLeast: 0.85 },
    { name: `MB/s over ${OURS}, 64 KiB source / 1 MiB source`, value: ratio(ours, { ...ours, chunk: MIB }), atLeast: 0.9 },
    ...(hasGo ? [{ name: `MB/s over ${OURS} / ${GO_TCP}`, value: ratio(ours, { path: GO_TCP, way: NEW_STREAM }), atLeast: 0.8 }] : []),
    { name: `MB/s over ${mended.path} / QUIC, ${PLAIN.name}`, value: ratio(mended, quic), atLeast: 3.5 },
    { name: `CPU of the listener over ${mended.path} / QUIC, ${PLAIN.name}`, value: ratio(mended, quic, 'listener'), atMost: 1 / 3 },
    ...PATHS.flatMap(({ name: path }) => LAYOUTS.flatMap(({ name, ways, ...layout }) => ways.map(({ name: way }): Target => ({
      name: `MB/s of ${way} / the faster stock loop, ${name}, over ${path}`,
      value: ratio({ path, way, ...layout }, fasterLoop(measured, { path, ...layout })),
      atLeast: 1
    }))))
  ]
}

/**
 * MB/s are those of a machine, so this is no target
 */
export function printRemark (measured: Measured[]): void {
  const { median } = summarise(samplesOf(measured, { path: OURS, way: BOTH_ENDS.name, streams: 4 }))

  print(`4 streams over ${OURS}: ${median.toFixed(0)} MB/s. On a machine of two cores that does nothing else it should be 1,000.`)
}
