/**
 * Keeps the peer from sending more than is read.
 *
 * `stream.pause()` does that over QUIC, where the service runs, see quic/quic-streams.ts.
 * Elsewhere it does not. QUIC streams of stock go on reading, and abort themselves
 * when 4 MiB are waiting. yamux streams resume by opening their window before the data
 * that is waiting was read, and when it has grown to its maximum of 16 MiB it is more
 * than they will hold.
 *
 * And what arrives while a stream is paused waits in the stream, one object for every
 * byte if the peer wants it.
 *
 * So there it is what makes the peer wait that is held: the window updates of yamux,
 * the reads of QUIC, behind which quinn has a window of its own, and what other
 * streams do to tell the peer that they are paused. The rest still arrives. Like the
 * muxer of a connection this is behind the public interfaces of libp2p, and
 * feature-detected.
 */
import { StreamBufferError } from '@libp2p/interface'
import { isStockQuicStream, StockQuicHold } from './quic/stock-quic-hold.ts'
import { override } from '../util/override.ts'
import { canReceive } from '../util/streams.ts'
import type { Override } from '../util/override.ts'
import type { Stream } from '@libp2p/interface'

export interface ReadHold {
  /**
   * So many bytes wait for the reader
   */
  hold(waiting: number): void
  release(): void

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

/**
 * Of streams that are not read while they are paused
 */
export const IS_HELD_BY_PAUSE = Symbol('libp2p-stream-opener.is-held-by-pause')

type HeldByPause = Stream & { [IS_HELD_BY_PAUSE]?: boolean }
type YamuxStream = Stream & { sendWindowUpdate(): void, maxStreamWindowSize?: number }
type PausableStream = Stream & { sendPause?(): void, sendResume?(): void }

export function holdReads (stream: Stream, init: ReadHoldInit): ReadHold {
  if (isYamuxStream(stream)) {
    return new YamuxHold(stream, init)
  }

  if ((stream as HeldByPause)[IS_HELD_BY_PAUSE] === true) {
    return new PauseHold(stream)
  }

  return isStockQuicStream(stream) ? new StockQuicHold(stream, init) : new SignalHold(stream)
}

function isYamuxStream (stream: Stream): stream is YamuxStream {
  return typeof (stream as Partial<YamuxStream>).sendWindowUpdate === 'function'
}

class YamuxHold implements ReadHold {
  #isHeld = false
  readonly #maxWindow?: number
  readonly #stream: YamuxStream
  readonly #updates: Override<Pick<YamuxStream, 'sendWindowUpdate'>>

  constructor (stream: YamuxStream, { window }: ReadHoldInit) {
    this.#stream = stream
    this.#updates = override<Pick<YamuxStream, 'sendWindowUpdate'>>(stream, {
      sendWindowUpdate: () => {
        if (!this.#isHeld) {
          this.#updates.original.sendWindowUpdate.call(stream)
        }
      }
    })

    if (stream.maxStreamWindowSize != null && stream.maxStreamWindowSize > window) {
      this.#maxWindow = stream.maxStreamWindowSize
      stream.maxStreamWindowSize = window
    }
  }

  hold (): void {
    this.#isHeld = true
  }

  release (): void {
    if (!this.#isHeld) {
      return
    }

    this.#isHeld = false

    if (canReceive(this.#stream)) {
      this.#stream.sendWindowUpdate()
    }
  }

  restore (): void {
    this.release()
    this.#updates.restore()

    if (this.#maxWindow != null) {
      this.#stream.maxStreamWindowSize = this.#maxWindow
    }
  }
}

class PauseHold implements ReadHold {
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

/**
 * mplex has no way to make the peer wait. So a stream is aborted when as much has
 * arrived meanwhile as would have been too much for one that is paused.
 */
class SignalHold implements ReadHold {
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
