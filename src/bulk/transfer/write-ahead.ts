import { Uint8ArrayList } from 'uint8arraylist'
import { hasFrames } from '../../compat/frames.ts'
import { nextTurn } from '../../util/next-turn.ts'
import type { Stream } from '@libp2p/interface'

/**
 * Smaller chunks are copied into blocks
 */
const BLOCK = 64 * 1024
const MIN_UNCOPIED = 16 * 1024

/**
 * What is written at once, at most. yamux of js-libp2p puts all that waits into one
 * frame, and rust-libp2p ends a connection with a frame of more than 1 MiB.
 *
 * @see https://github.com/libp2p/rust-yamux/blob/master/yamux/src/frame/io.rs (MAX_FRAME_BODY_LEN)
 */
export const MAX_BATCH = 960 * 1024

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
 * Writes to a stream in large batches: each write costs both ends, the muxer and the
 * encrypter frame it by itself. The next batch is collected while the connection is
 * busy with the one before, and is written when there is room for it in the write
 * buffer. When the source makes the stream wait, what there is has to do.
 *
 * A stream without frames, as QUIC's, would only copy a batch into one piece, so there
 * it is a single chunk, or block. So it is over mplex, whose streams do not tell.
 *
 * Nothing waits for `stream.onDrain()` here, as that resolves at once for evermore
 * after the first time.
 */
export class WriteAhead {
  #taken = 0
  #passedOn = 0
  #batch = new Uint8ArrayList()
  #block?: Uint8Array
  #blockLength = 0
  #cancelFlush?: () => void
  #onFlushed?: () => void
  readonly #limit: number
  readonly #maxBatch: number
  readonly #hasFrames: boolean
  readonly #stream: Stream
  readonly #init: WriteAheadInit

  constructor (stream: Stream, init: WriteAheadInit) {
    this.#stream = stream
    this.#init = init

    // a stream aborts itself beyond its own limit, which a handshake counts for too
    this.#limit = Math.max(1, Math.min(init.highWaterMark, Math.floor((stream.maxWriteBufferLength ?? Infinity) / 2)))
    this.#maxBatch = Math.min(this.#limit, MAX_BATCH)

    this.#hasFrames = hasFrames(stream)

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
   * Returns how many bytes were accepted
   */
  write (data: Uint8Array): number {
    const minUncopied = this.#hasFrames ? MIN_UNCOPIED : BLOCK
    const accepted = data.byteLength < minUncopied ? this.#copy(data) : this.#append(data)

    if (!this.hasRoom) {
      this.#passOn()
    }

    return accepted
  }

  /**
   * Resolves when the stream has got all that was accepted
   */
  async flush (): Promise<void> {
    this.#passOn()

    if (this.#collected > 0) {
      await new Promise<void>(resolve => { this.#onFlushed = resolve })
    }
  }

  /**
   * Pass on what there is unless more comes in this turn of the event loop, or the
   * connection has enough to do
   */
  flushSoon (): void {
    if (this.#collected === 0 || this.#cancelFlush != null) {
      return
    }

    this.#cancelFlush = nextTurn(() => {
      this.#cancelFlush = undefined

      if (!this.#stream.writableNeedsDrain) {
        this.#attempt(() => { this.#passOn() })
      }
    })
  }

  stop (): void {
    this.#cancelFlush?.()
    this.#stream.removeEventListener('drain', this.#onDrain)
  }

  get #collected (): number {
    return this.#batch.byteLength + this.#blockLength
  }

  get #room (): number {
    if (!this.#hasFrames && this.#batch.byteLength > 0) {
      return 0
    }

    return this.#maxBatch - this.#collected
  }

  #append (data: Uint8Array): number {
    const accepted = data.subarray(0, this.#room)

    this.#endBlock()
    this.#batch.append(accepted)

    return accepted.byteLength
  }

  #copy (data: Uint8Array): number {
    this.#block ??= new Uint8Array(Math.min(BLOCK, this.#maxBatch))

    const accepted = data.subarray(0, Math.min(this.#block.byteLength - this.#blockLength, this.#room))
    this.#block.set(accepted, this.#blockLength)
    this.#blockLength += accepted.byteLength

    if (this.#blockLength === this.#block.byteLength) {
      this.#endBlock()
    }

    return accepted.byteLength
  }

  /**
   * What is left of the block is for the next small chunks: a block for each of them,
   * between large ones, would take much more memory than there are bytes
   */
  #endBlock (): void {
    if (this.#block != null && this.#blockLength > 0) {
      const rest = this.#block.subarray(this.#blockLength)

      this.#batch.append(this.#block.subarray(0, this.#blockLength))
      this.#block = rest.byteLength > 0 ? rest : undefined
      this.#blockLength = 0
    }
  }

  /**
   * Write the batch, if there is room for it
   */
  #passOn (): void {
    const { writeBufferLength } = this.#stream
    const length = this.#collected

    if (length === 0 || (writeBufferLength > 0 && (!this.#hasFrames || writeBufferLength + length > this.#limit))) {
      return
    }

    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    this.#endBlock()

    const batch = this.#batch
    this.#batch = new Uint8ArrayList()
    this.#passedOn += length
    this.#stream.send(batch)
    this.#count()
    this.#onFlushed?.()
    this.#onFlushed = undefined
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

      // one that somebody else has closed does not take any more, and says so
      if (this.#cancelFlush == null && this.#stream.status === 'open') {
        this.#attempt(() => { this.#passOn() })
      }
    })
  }

  #attempt (fn: () => void): void {
    try {
      fn()
    } catch (err) {
      this.#init.onError(err)
    }
  }
}
