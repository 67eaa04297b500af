import { nextTurn } from '../next-turn.ts'
import type { Stream } from '@libp2p/interface'

/**
 * Smaller chunks are copied into one of this size - a write costs more than that
 */
const BLOCK = 64 * 1024
const MAX_COPY = 16 * 1024

/**
 * Larger chunks are cut, as over QUIC all of a write is copied at once
 */
const MAX_WRITE = 1024 * 1024

export interface WriteAheadInit {
  /**
   * How many bytes may wait in the write buffer of the stream
   */
  highWaterMark: number

  /**
   * Called when something could not be sent while nobody was waiting for it
   */
  onError(err: unknown): void
}

/**
 * Keeps the write buffer of a stream filled up to a watermark: whoever waits for
 * the stream to drain after every write leaves the connection with nothing to do
 * in the meantime.
 *
 * Nothing waits for `stream.onDrain()` here, as that resolves at once for evermore
 * after the first time.
 */
export class WriteAhead {
  #taken = 0
  #passedOn = 0
  #block?: Uint8Array
  #blockLength = 0
  #cancelFlush?: () => void
  #onRoom?: () => void
  readonly #limit: number
  readonly #stream: Stream
  readonly #init: WriteAheadInit

  constructor (stream: Stream, init: WriteAheadInit) {
    this.#stream = stream
    this.#init = init

    // a stream aborts itself beyond its own limit, which a handshake counts for too
    this.#limit = Math.max(1, Math.min(init.highWaterMark, Math.floor((stream.maxWriteBufferLength ?? Infinity) / 2)))

    stream.addEventListener('drain', this.#onDrain)
  }

  /**
   * How many bytes the connection has taken from the stream
   */
  get taken (): number {
    return this.#taken
  }

  get hasRoom (): boolean {
    return this.#room > 0
  }

  /**
   * Resolves when half of the write buffer is free
   */
  async room (): Promise<void> {
    this.flush()

    return new Promise(resolve => {
      this.#onRoom = resolve
      this.#checkRoom()
    })
  }

  /**
   * Returns how many bytes were accepted
   */
  write (data: Uint8Array): number {
    if (data.byteLength < MAX_COPY) {
      return this.#copy(data)
    }

    this.flush()

    const accepted = data.subarray(0, Math.min(MAX_WRITE, this.#room))
    this.#send(accepted)

    return accepted.byteLength
  }

  /**
   * Send what was copied
   */
  flush (): void {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined

    if (this.#block != null && this.#blockLength > 0) {
      const data = this.#block.subarray(0, this.#blockLength)
      this.#block = undefined
      this.#blockLength = 0
      this.#send(data)
    }
  }

  /**
   * Send what was copied unless more comes in this turn of the event loop, or the
   * connection has enough to do
   */
  flushSoon (): void {
    if (this.#blockLength === 0 || this.#cancelFlush != null) {
      return
    }

    this.#cancelFlush = nextTurn(() => {
      this.#cancelFlush = undefined

      if (!this.#stream.writableNeedsDrain) {
        this.#attempt(() => { this.flush() })
      }
    })
  }

  stop (): void {
    this.#cancelFlush?.()
    this.#stream.removeEventListener('drain', this.#onDrain)
  }

  get #room (): number {
    return this.#limit - this.#stream.writeBufferLength - this.#blockLength
  }

  #copy (data: Uint8Array): number {
    const length = Math.min(BLOCK, this.#limit)
    this.#block ??= new Uint8Array(length)

    const accepted = data.subarray(0, Math.min(length - this.#blockLength, this.#room))
    this.#block.set(accepted, this.#blockLength)
    this.#blockLength += accepted.byteLength

    if (this.#blockLength === length) {
      this.flush()
    }

    return accepted.byteLength
  }

  #send (data: Uint8Array): void {
    if (data.byteLength === 0) {
      return
    }

    this.#passedOn += data.byteLength
    this.#stream.send(data)
    this.#count()
  }

  /**
   * A handshake may be in the buffer as well, and when the stream is aborted the
   * buffer is emptied without anything having been sent
   */
  #count (): void {
    if (this.#stream.writeStatus !== 'closed') {
      this.#taken = Math.max(this.#taken, this.#passedOn - this.#stream.writeBufferLength)
    }
  }

  readonly #onDrain = (): void => {
    // the stream goes on sending in a microtask of its own, before this one
    queueMicrotask(() => {
      this.#count()
      this.#attempt(() => { this.#refill() })
      this.#checkRoom()
    })
  }

  #refill (): void {
    if (this.#cancelFlush == null && this.#stream.writeBufferLength === 0 && this.#stream.writeStatus === 'writable') {
      this.flush()
    }
  }

  #checkRoom (): void {
    if (this.#stream.writeBufferLength <= this.#limit / 2) {
      this.#onRoom?.()
      this.#onRoom = undefined
    }
  }

  #attempt (fn: () => void): void {
    try {
      fn()
    } catch (err) {
      this.#init.onError(err)
    }
  }
}
