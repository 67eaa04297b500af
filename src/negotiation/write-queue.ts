/**
 * Writes of one stream that wait, where its user sees a stream that is full: `send`
 * returns false, `writeBufferLength` grows, `onDrain` and whoever listens for `drain`
 * wait, and `maxWriteBufferLength` holds. Each is sent by itself in the end, unless the
 * muxer cannot take more.
 */
import { StreamBufferError } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import { FullStream } from '../compat/full-stream.ts'
import type { HookableStream } from '../compat/muxed-stream.ts'

export class WriteQueue {
  #bytes = 0

  /**
   * As long as there are writes
   */
  #full?: FullStream
  readonly #writes: Uint8ArrayList[] = []
  readonly #stream: HookableStream

  constructor (stream: HookableStream) {
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

    this.#full ??= new FullStream(stream, () => this.#bytes)
    this.#writes.push(write)
    this.#bytes += write.byteLength

    if (stream.writeBufferLength > (stream.maxWriteBufferLength ?? Infinity)) {
      stream.abort(new StreamBufferError(`Write buffer length of ${stream.writeBufferLength} exceeded limit of ${stream.maxWriteBufferLength}, the peer has not confirmed the protocol yet`))
    }

    return false
  }

  /**
   * There are no more writes behind those that wait
   */
  end (): void {
    this.#full?.end()
  }

  /**
   * Send all that waits
   */
  flush (send: (data: Uint8ArrayList) => unknown): void {
    const stream = this.#stream
    const writes = this.#take()

    if (writes.length === 0) {
      return
    }

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
    this.#take()
  }

  #take (): Uint8ArrayList[] {
    this.#bytes = 0
    this.#full?.restore()
    this.#full = undefined

    return this.#writes.splice(0)
  }
}
