/**
 * What upstream does: mplex has no way to make the peer wait, so a stream that is paused
 * aborts itself when 4 MiB (`maxReadBufferLength`) are waiting (@libp2p/mplex 12,
 * src/stream.ts). Other streams may have a way, which `pause()` calls.
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/stream-multiplexer-mplex/src/stream.ts,
 * test/interop/upstream/js-libp2p-pause.md
 *
 * How it is detected: it is what is left, with `sendPause` and `sendResume` where they
 * are there.
 *
 * Without it: a reader that is slow would take memory without bound.
 *
 * Until: mplex, which is deprecated, has gone from js-libp2p.
 */
import { StreamBufferError } from '@libp2p/interface'
import { canReceive } from '../util/streams.ts'
import type { Stream } from '@libp2p/interface'

export interface ReadHold {
  /**
   * So many bytes wait for the reader
   */
  hold(waiting: number): void
  release(): void

  /**
   * Where a stream that was lost seems to have come to its end: resolves when `onError`
   * has been called, if that is so
   */
  verifyEnd?(): Promise<void>

  /**
   * Leave nothing behind
   */
  restore(): void
}

export interface ReadHoldInit {
  /**
   * How many bytes may be under way after `hold` was called, where that can be chosen
   */
  window: number

  /**
   * The stream has not ended, reading has failed - which QUIC streams report as an
   * end
   */
  onError(err: Error): void
}

type PausableStream = Stream & { sendPause?(): void, sendResume?(): void }

/**
 * A stream is aborted when as much has arrived meanwhile as would have been too much for
 * one that is paused
 */
export class PausedReads implements ReadHold {
  #heldAt?: number
  readonly #stream: PausableStream

  constructor (stream: PausableStream) {
    this.#stream = stream
  }

  hold (waiting: number): void {
    const { maxReadBufferLength } = this.#stream

    if (this.#heldAt == null) {
      this.#heldAt = waiting
      this.#stream.sendPause?.()
    } else if (waiting - this.#heldAt > maxReadBufferLength) {
      this.#stream.abort(new StreamBufferError(`The reader is ${waiting} bytes behind, and the peer has sent more than ${maxReadBufferLength} of them when it should have waited`))
    }
  }

  release (): void {
    if (this.#heldAt != null) {
      this.#heldAt = undefined

      if (canReceive(this.#stream)) {
        this.#stream.sendResume?.()
      }
    }
  }

  restore (): void {
    this.release()
  }
}
