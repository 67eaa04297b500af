import { transportOf } from './transport-of.ts'
import type { Connection, CounterGroup, Histogram, Metrics as Libp2pMetrics } from '@libp2p/interface'

/**
 * How a stream was opened
 *
 * - `optimistic`: the peer was taken to speak the protocol, nobody waited
 * - `early`: the handshake was sent while identify was still on its way
 * - `full`: libp2p negotiated
 */
export type OpenPath = 'optimistic' | 'early' | 'full'

const PATHS: OpenPath[] = ['optimistic', 'early', 'full']

export class Metrics {
  readonly #opens = new Map<OpenPath, CounterGroup>()
  readonly #failures?: CounterGroup
  readonly #wait?: Histogram

  /**
   * The metrics are asked for the number of waiting calls when they are collected
   */
  constructor (metrics: Libp2pMetrics | undefined, queued: () => number) {
    if (metrics == null) {
      return
    }

    // libp2p's metrics have one label each
    for (const path of PATHS) {
      this.#opens.set(path, metrics.registerCounterGroup(`libp2p_stream_opener_${path}_opens_total`, {
        label: 'transport',
        help: `Streams that were opened on the ${path} path, by the transport of the connection`
      }))
    }

    this.#failures = metrics.registerCounterGroup('libp2p_stream_opener_handshake_failures_total', {
      label: 'reason',
      help: 'Handshakes that the peer did not confirm, by the name of the error'
    })
    this.#wait = metrics.registerHistogram('libp2p_stream_opener_queue_wait_seconds', {
      help: 'How long calls waited for a limit of the peer',
      buckets: [0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
    })
    metrics.registerMetric('libp2p_stream_opener_queue_length', {
      help: 'Calls that are waiting for a limit of a peer',
      calculate: queued
    })
  }

  opened (path: OpenPath, connection: Connection): void {
    this.#opens.get(path)?.increment({ [transportOf(connection)]: true })
  }

  failed (err: Error): void {
    this.#failures?.increment({ [err.name]: true })
  }

  /**
   * A call has waited so long, in ms
   */
  waited (ms: number): void {
    this.#wait?.observe(ms / 1000)
  }
}
