/**
 * Writes of one stream that wait, where its user sees a stream that is full: `send`
 * returns false, `writeBufferLength` grows, `onDrain` and whoever listens for `drain`
 * wait, and `maxWriteBufferLength` holds. Each is sent by itself in the end, unless the
 * muxer cannot take more.
 */
import { StreamBufferError } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { override } from '../util/override.ts'
import type { MuxedStream } from '../compat/muxer-access.ts'
import type { Override } from '../util/override.ts'

interface Events {
  safeDispatchEvent(type: string, detail?: CustomEventInit): boolean
}

export class WriteQueue {
  #bytes = 0

  /**
   * Whether the muxer cannot take more, apart from what is held
   */
  #muxerNeedsDrain = false
  #events?: Override<Events>
  readonly #writes: Uint8ArrayList[] = []
  readonly #stream: MuxedStream

  constructor (stream: MuxedStream) {
    this.#stream = stream
  }

  get length (): number {
    return this.#writes.length
  }

  /**
   * Returns false, as `stream.send` does for what waits for room, and throws for what
   * that throws for
   */
  add (data: Uint8Array | Uint8ArrayList): false {
    const stream = this.#stream
    const write = new Uint8ArrayList(data)

    if (this.length === 0) {
      this.#fill()
    }

    this.#writes.push(write)
    this.#bytes += write.byteLength

    if (stream.writeBufferLength > (stream.maxWriteBufferLength ?? Infinity)) {
      stream.abort(new StreamBufferError(`Write buffer length of ${stream.writeBufferLength} exceeded limit of ${stream.maxWriteBufferLength}, the peer has not confirmed ${stream.protocol} yet`))
    }

    return false
  }

  /**
   * Send all that waits
   */
  flush (send: (data: Uint8ArrayList) => unknown): void {
    const stream = this.#stream
    const writes = this.#writes.splice(0)

    if (writes.length === 0) {
      return
    }

    this.#drain()

    try {
      writes.forEach(send)

      if (!stream.writableNeedsDrain) {
        stream.safeDispatchEvent('drain')
      }
    } catch (err) {
      // the muxer could not send it and has aborted the stream
      stream.log.error('could not send what was held back - %e', err)
    }
  }

  clear (): void {
    if (this.#writes.splice(0).length > 0) {
      this.#drain()
    }
  }

  #fill (): void {
    const stream = this.#stream
    const { writeBufferLength } = stream

    this.#muxerNeedsDrain = stream.writableNeedsDrain
    stream.writableNeedsDrain = true
    Object.defineProperty(stream, 'writeBufferLength', { configurable: true, get: () => this.#bytes + (this.#muxerNeedsDrain ? writeBufferLength : 0) })

    this.#events = override<Events>(stream, {
      safeDispatchEvent: (type, detail) => {
        if (type !== 'drain') {
          return this.#events?.original.safeDispatchEvent.call(stream, type, detail) === true
        }

        // the muxer can take more, but what is held stays held
        this.#muxerNeedsDrain = false

        return true
      }
    })
  }

  #drain (): void {
    const stream = this.#stream

    this.#bytes = 0
    this.#events?.restore()
    delete (stream as Partial<typeof stream>).writeBufferLength

    if (stream.status === 'open') {
      stream.writableNeedsDrain = this.#muxerNeedsDrain
      stream.writeStatus = 'writable'
    }
  }
}
