/**
 * What upstream does: whether a stream can take more is a matter of its muxer alone.
 * `writableNeedsDrain`, `writeBufferLength`, `writeStatus` and the `drain` event of a
 * stream (@libp2p/utils 7, src/abstract-message-stream.ts) are public, but only to be
 * read. What holds a write back cannot say so to whoever writes.
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/utils/src/abstract-message-stream.ts,
 * test/interop/upstream/js-libp2p-hidden.md
 *
 * How it is detected: it is only used for streams with the methods of muxed-stream.ts,
 * which are of the same class.
 *
 * Without it: writes that are held back would count for nothing, and memory would not be
 * bounded by `maxWriteBufferLength`. So without it nothing is held back, libp2p negotiates.
 *
 * Until: streams can be corked, or what ends muxed-stream.ts.
 */
import { override } from '../util/override.ts'
import type { HookableStream } from './muxed-stream.ts'
import type { Override } from '../util/override.ts'
import type { MessageStream } from '@libp2p/interface'

type Events = Pick<MessageStream, 'safeDispatchEvent'>

/**
 * A stream that seems full to its user, whatever its muxer can take
 */
export class FullStream {
  #isFull = true
  #hasEnded = false

  /**
   * Whether the muxer cannot take more either
   */
  #muxerNeedsDrain: boolean
  readonly #stream: HookableStream
  readonly #events: Override<Events>

  /**
   * `held` are the bytes that wait apart from those of the muxer
   */
  constructor (stream: HookableStream, held: () => number) {
    const prototype = Object.getPrototypeOf(stream) as object

    this.#stream = stream
    this.#muxerNeedsDrain = stream.writableNeedsDrain
    stream.writableNeedsDrain = true
    Object.defineProperty(stream, 'writeBufferLength', { configurable: true, get: () => held() + Reflect.get(prototype, 'writeBufferLength', stream) })

    this.#events = override<Events>(stream, {
      safeDispatchEvent: (type, detail) => {
        if (type !== 'drain') {
          return this.#events.original.safeDispatchEvent.call(stream, type, detail)
        }

        // what is held stays held, but what was sent before it, as the handshake, goes on.
        // As with stock not at once: it may be the muxer that is sending it.
        queueMicrotask(() => { this.#sendRest() })

        return true
      }
    })
  }

  /**
   * It does not take more, and seems to have ended
   */
  end (): void {
    this.#hasEnded = true
    this.#stream.writeStatus = 'closed'
  }

  /**
   * It takes what its muxer does
   */
  restore (): void {
    const stream = this.#stream

    this.#isFull = false
    this.#events.restore()
    delete (stream as Partial<HookableStream>).writeBufferLength

    if (stream.status === 'open') {
      stream.writableNeedsDrain = this.#muxerNeedsDrain
      stream.writeStatus = 'writable'
    }
  }

  /**
   * The muxer can take more of what it was given
   */
  #sendRest (): void {
    const stream = this.#stream

    if (!this.#isFull || stream.status !== 'open') {
      return
    }

    stream.writableNeedsDrain = false
    stream.writeStatus = 'writable'

    try {
      stream.processSendQueue()
    } catch (err) {
      stream.log.error('could not send what the muxer could not take before - %e', err)
    }

    // it may be full again
    this.#muxerNeedsDrain = stream.writableNeedsDrain
    stream.writableNeedsDrain = true

    if (this.#hasEnded) {
      this.end()
    }
  }
}
