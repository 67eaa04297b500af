import { getMaxOutboundStreams } from './muxer-access.ts'
import { onceClosed } from '../util/streams.ts'
import type { Connection, Stream } from '@libp2p/interface'

/**
 * Muxers have limits of their own, as yamux with 1,000 outbound streams. All of them
 * count, whoever has opened them.
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
    const max = getMaxOutboundStreams(connection)
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
