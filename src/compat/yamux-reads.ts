/**
 * What upstream does: a stream opens its window as soon as data has arrived, whether it
 * was read or not, and when it is resumed, before the data that waits was read. The window
 * grows to 16 MiB, which is more than a stream that is paused holds before it aborts
 * itself. And it does so for each frame: a frame of the update costs both ends as much as
 * one of data, and a peer that has used up its window sends as little as each allows
 * (@libp2p/yamux 8, src/stream.ts).
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/stream-multiplexer-yamux/src/stream.ts,
 * test/interop/upstream/js-libp2p-pause.md,
 * test/interop/upstream/js-libp2p-yamux-window-updates.md
 *
 * How it is detected: the stream has a method `sendWindowUpdate`. Its fields
 * `maxStreamWindowSize`, `recvWindow` and `recvWindowCapacity` are only private to
 * TypeScript.
 *
 * Without it: paused-reads.ts, which aborts the stream of a slow reader.
 *
 * Until: the window of a stream that is paused is no larger than its `maxReadBufferLength`,
 * opens by what was read, and not before half of it was used.
 */
import { override } from '../util/override.ts'
import { canReceive } from '../util/streams.ts'
import type { ReadHold, ReadHoldInit } from './paused-reads.ts'
import type { Override } from '../util/override.ts'
import type { Stream } from '@libp2p/interface'

type YamuxStream = Stream & { sendWindowUpdate(): void, maxStreamWindowSize?: number, recvWindow?: number, recvWindowCapacity?: number }

export function isYamuxStream (stream: Stream): stream is YamuxStream {
  return typeof (stream as Partial<YamuxStream>).sendWindowUpdate === 'function'
}

export class YamuxReads implements ReadHold {
  #isHeld = false
  readonly #maxWindow?: number
  readonly #stream: YamuxStream
  readonly #updates: Override<Pick<YamuxStream, 'sendWindowUpdate'>>

  constructor (stream: YamuxStream, { window }: ReadHoldInit) {
    this.#stream = stream
    this.#updates = override<Pick<YamuxStream, 'sendWindowUpdate'>>(stream, {
      sendWindowUpdate: () => {
        if (!this.#isHeld && !this.#isOpen()) {
          this.#updates.original.sendWindowUpdate.call(stream)
        }
      }
    })

    if (stream.maxStreamWindowSize != null && stream.maxStreamWindowSize > window) {
      this.#maxWindow = stream.maxStreamWindowSize
      stream.maxStreamWindowSize = window
    }
  }

  /**
   * Half of a window is enough for the peer to go on until it hears of more
   */
  #isOpen (): boolean {
    const { recvWindow, recvWindowCapacity } = this.#stream

    return recvWindow != null && recvWindowCapacity != null && recvWindowCapacity > recvWindow / 2
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
