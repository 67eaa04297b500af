import { GO_QUIC, GO_TCP, NEW_STREAM } from '../parts/bulk/go.ts'
import { BOTH_ENDS, PLAIN } from '../parts/bulk/ways.ts'
import { bars } from './bars.ts'
import { lines } from './lines.ts'
import { rowsOf } from './rows.ts'
import { stacked } from './stacked.ts'
import type { ScenarioResult } from '../parts/results.ts'
import type { TopLevelSpec } from 'vega-lite'

export interface Chart {
  /**
   * The name of its file, without `.svg`
   */
  name: string
  scenario: string
  title: string
  spec(result: ScenarioResult): TopLevelSpec
}

/**
 * What an application can have, what it has with this package, and what there is to be had.
 * What was not measured, as go-libp2p where it is not built, has no row.
 */
const BULK = [
  { name: 'TCP + noise, stock', path: 'TCP + noise', way: PLAIN.name },
  { name: 'TCP + @libp2p/tls, stock', path: 'TCP + tls', way: PLAIN.name },
  { name: 'TCP + tls of this package', path: 'TCP + tls on the socket', way: BOTH_ENDS.name },
  { name: 'node:tls, without libp2p', path: 'bare socket', way: 'node:tls' },
  { name: GO_TCP, path: GO_TCP, way: NEW_STREAM },
  { name: 'QUIC, stock', path: 'QUIC', way: PLAIN.name },
  { name: 'QUIC of this package', path: 'QUIC, reads mended', way: BOTH_ENDS.name },
  { name: GO_QUIC, path: GO_QUIC, way: NEW_STREAM }
]

const inMs = (name: string): string => `${name}, ms`

/**
 * How people know the ways in which streams are opened
 */
const MOMENTS: Record<string, string> = {
  stock: 'dialProtocol',
  optimistic: 'newStream',
  early: 'straight after a dial',
  resumed: 'after a reconnect, resume'
}

export const CHARTS: Chart[] = [
  {
    name: 'one-round-trip',
    scenario: 'round-trips',
    title: 'Round trips from opening a stream to the first byte of the answer',
    spec: result => bars({
      rows: rowsOf(result, { figure: 'time to the first byte', where: labels => labels['round trip, ms'] === 50 && String(labels['opened by']) in MOMENTS, scale: () => 1 / 50 })
        .map(row => ({ ...row, moment: MOMENTS[String(row['opened by'])] ?? '', path: `${row.transport}, ${row.listener === 'go' ? 'go-libp2p' : 'js-libp2p'} listener` })),
      x: 'round trips of 50 ms',
      y: 'path',
      colour: 'opened by',
      column: 'moment',
      to: 2.2,
      width: 190,
      digits: 2
    })
  },
  {
    name: 'round-trips',
    scenario: 'round-trips',
    title: 'From opening a stream to the first byte of the answer',
    spec: result => bars({
      rows: rowsOf(result, { figure: 'time to the first byte', where: labels => labels['round trip, ms'] !== 0 && !/go-libp2p|at a time/.test(String(labels['opened by'])) })
        .map(row => ({ ...row, link: `${row['round trip, ms']} ms away`, path: `${row.transport}, ${row.listener === 'go' ? 'go-libp2p' : 'js-libp2p'} listener` })),
      x: 'ms',
      y: 'opened by',
      column: 'link',
      row: 'path',
      width: 160,
      gap: 48
    })
  },
  {
    name: 'first-stream',
    scenario: 'first-stream',
    title: 'From dialing a peer to the first byte of the answer, 50 ms away',
    spec: result => bars({
      rows: rowsOf(result, { figure: 'time to the first byte', where: labels => labels['round trip, ms'] === 50 && labels.listener !== 'go' && !/tls/.test(`${labels.encrypter}`) })
        // earlier runs had no others
        .map(row => ({ ...row, kind: row.after === 'dial' ? 'first dial' : `reconnect${row.encrypter == null ? ', with resume' : ''}` })),
      x: 'ms',
      y: 'opened by',
      column: 'transport',
      row: 'kind',
      width: 270
    })
  },
  ...['time', 'CPU'].map((figure): Chart => ({
    name: `sequential-${figure.toLowerCase()}`,
    scenario: 'sequential',
    title: figure === 'time' ? 'Time of an open, an echo and a close, on loopback' : 'CPU time of an open, an echo and a close, on loopback',
    spec: result => bars({ rows: rowsOf(result, { figure: `${figure} per open` }), x: 'us per open', y: 'opened by', column: 'transport', row: 'mode', width: 270 })
  })),
  {
    name: 'profile',
    scenario: 'profile',
    title: 'Where the CPU time of an open, an echo and a close goes',
    spec: result => stacked({ rows: rowsOf(result, { figure: 'CPU per open' }), x: 'us per open', y: 'opened by', part: 'part', column: 'transport', width: 280 })
  },
  {
    name: 'request-response',
    scenario: 'request-response',
    title: 'A request that ends with a half-close, until the answer to its end',
    spec: result => bars({
      rows: rowsOf(result, { figure: 'time to the end of the answer' }).map(row => ({ ...row, link: row['round trip, ms'] === 0 ? 'on loopback' : `${row['round trip, ms']} ms away` })),
      x: 'ms',
      y: 'way',
      column: 'transport',
      row: 'link',
      width: 280,
      digits: 1
    })
  },
  {
    name: 'burst',
    scenario: 'burst',
    title: 'Streams that are answered when many are opened at once',
    spec: result => lines({
      rows: rowsOf(result, { figure: 'streams that failed', scale: labels => -100 / Number(labels['at once']) })
        .map(row => ({ ...row, median: 100 + row.median, low: 100 + row.low, high: 100 + row.high })),
      x: 'at once',
      xTitle: 'streams at once',
      isLog: true,
      y: 'answered, %',
      to: 100,
      colour: 'opened by',
      column: 'transport',
      width: 320
    })
  },
  {
    name: 'stalled-neighbour',
    scenario: 'stalled-neighbour',
    title: 'Opens to healthy peers while 1,000 calls hang on a silent one',
    spec: result => bars({ rows: rowsOf(result, { figure: 'time to the answer, p99 of a block' }), x: inMs('p99 of the time to the answer'), y: 'the silent peer', width: 500, digits: 2 })
  },
  {
    name: 'growth',
    scenario: 'growth',
    title: 'CPU time of an open with more and more peers and streams',
    spec: result => lines({ rows: rowsOf(result, { figure: 'CPU per open' }), x: 'size', xTitle: 'how many there are', isLog: true, y: 'us per open', colour: 'opened by', column: 'grown in', width: 320 })
  },
  {
    name: 'loss',
    scenario: 'loss',
    title: '8 opens at once, 50 ms away, where packets are lost',
    spec: result => bars({
      rows: rowsOf(result, { figure: 'time to the first byte' }).map(row => ({ ...row, lost: `${row['lost, %']}% lost` })),
      x: 'ms to the first byte: median, p99',
      y: 'opened by',
      column: 'transport',
      row: 'lost',
      width: 245,
      p99: true
    })
  },
  {
    name: 'stall',
    scenario: 'stall',
    title: 'What one lost packet does to 8 streams, 10 ms away',
    spec: result => lines({ rows: rowsOf(result, { figure: 'slowest echo of a stream' }).map(row => ({ ...row, loss: `${row.lost} lost` })), x: 'streams that were as slow', xTitle: 'streams, the slowest one first', y: inMs('slowest echo'), colour: 'loss', column: 'transport', width: 320 })
  },
  {
    name: 'bulk',
    scenario: 'bulk',
    title: 'Bulk data on one stream to another process, on loopback, 64 KiB at a time',
    spec: result => bars({
      rows: BULK.flatMap(({ name, path, way }) => rowsOf(result, {
        figure: 'throughput',
        where: labels => labels.path === path && labels.way === way && labels.streams === 1 && labels['source, KiB'] === 64
      }).map(row => ({ ...row, name }))),
      x: 'MB/s',
      y: 'name',
      colour: 'way',
      width: 480
    })
  },
  {
    name: 'kad-dht',
    scenario: 'kad-dht',
    title: 'Queries of a DHT of 20 servers, each 50 ms away',
    spec: result => bars({ rows: rowsOf(result, { figure: 'time of a query' }), x: 'ms', y: 'by', column: 'servers', row: 'query', width: 270 })
  },
  {
    name: 'soak',
    scenario: 'soak',
    title: 'The heap of both ends after so many opens, without garbage',
    spec: result => lines({
      // a row for each block
      rows: result.series.filter(({ figure }) => figure === 'heap after each block').flatMap(({ labels, samples }) => samples.map((bytes, i) => {
        const heap = bytes / 2 ** 20

        return { ...labels, opens: (i + 1) * Number(labels['opens in a block']), median: heap, low: heap, high: heap, p99: NaN }
      })),
      x: 'opens',
      xTitle: 'opens, the connection is killed every 10,000',
      y: 'heap, MiB',
      colour: 'end',
      column: 'transport',
      width: 330
    })
  }
]
