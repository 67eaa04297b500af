/**
 * What upstream does: a muxer has a limit for the streams of a connection, whoever opens
 * them - yamux allows 1,000 outbound ones (@libp2p/yamux 8, src/muxer.ts). It keeps that
 * to itself, and throws when one more is asked for.
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/stream-multiplexer-yamux/src/muxer.ts,
 * test/interop/upstream/js-libp2p-hidden.md
 *
 * How it is detected: the muxer, or its `config`, has a number `maxOutboundStreams`.
 *
 * Without it: calls do not wait for room on the muxer, and are rejected as by stock.
 *
 * Until: `StreamMuxer` says how many streams it has room for.
 */
import { onceClosed } from '../util/streams.ts'
import { getMuxer } from './muxer-access.ts'
import type { Connection, Stream } from '@libp2p/interface'

/**
 * How many outbound streams the muxer of the connection allows
 */
function maxStreamsOn (connection: Connection): number {
  const muxer = getMuxer(connection) as { maxOutboundStreams?: unknown, config?: { maxOutboundStreams?: unknown } } | undefined
  const max = muxer?.maxOutboundStreams ?? muxer?.config?.maxOutboundStreams

  return typeof max === 'number' ? max : Infinity
}

/**
 * Sees when streams of muxers that are full are closed
 */
export class MuxerRoom {
  readonly #watched = new WeakSet<Stream>()
  readonly #onRoom: (connection: Connection) => void

  /**
   * `onRoom` is called when a stream was closed of a connection that had none left
   */
  constructor (onRoom: (connection: Connection) => void) {
    this.#onRoom = onRoom
  }

  /**
   * How many more streams the muxer of the connection gives, Infinity where it does
   * not say
   */
  streamsLeft (connection: Connection): number {
    const max = maxStreamsOn(connection)
    const { streams } = connection

    // to look at each costs time, and that some are inbound does not matter yet
    if (max === Infinity || streams.length < max / 2) {
      return max - streams.length
    }

    const outbound = streams.filter(({ direction }) => direction === 'outbound')

    if (outbound.length >= max) {
      outbound.forEach(stream => { this.#watch(connection, stream) })
    }

    return max - outbound.length
  }

  #watch (connection: Connection, stream: Stream): void {
    if (!this.#watched.has(stream)) {
      this.#watched.add(stream)
      onceClosed(stream, () => { this.#onRoom(connection) })
    }
  }
}
