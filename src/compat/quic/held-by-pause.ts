/**
 * What upstream does: no muxer keeps a peer waiting while `pause()` is in force. Streams
 * that quic-streams.ts has made to are told here from all others.
 *
 * Where: https://github.com/ChainSafe/js-libp2p-quic/blob/main/src/stream.ts,
 * test/interop/upstream/js-libp2p-quic-reads.md
 *
 * How it is detected: native-reads.ts says which they are.
 *
 * Without it: stock-reads.ts, which ends their loop of reads and begins it again.
 *
 * Until: quic-streams.ts has gone.
 */
import type { ReadHold } from '../paused-reads.ts'
import type { Stream } from '@libp2p/interface'

/**
 * Streams that are not read while they are paused, and how to end that
 */
export const heldByPause = new WeakMap<Stream, { restore(): void }>()

export class HeldByPause implements ReadHold {
  readonly #stream: Stream

  constructor (stream: Stream) {
    this.#stream = stream
  }

  hold (): void {
    if (this.#stream.readStatus === 'readable') {
      this.#stream.pause()
    }
  }

  release (): void {
    if (this.#stream.readStatus === 'paused') {
      this.#stream.resume()
    }
  }

  restore (): void {
    this.release()
  }
}
