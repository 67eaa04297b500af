import { AbortError, StreamResetError, StreamStateError } from '@libp2p/interface'
import { UnexpectedEOFError } from '@libp2p/utils'
import { bulkTransferError, checkTransferOptions } from './both-ends.ts'
import { holdReads } from '../../compat/hold-reads.ts'
import { hasPeerEnded } from '../../compat/silent-losses.ts'
import { PieceQueue } from './join-pieces.ts'
import { ProgressReporter } from './report-progress.ts'
import type { ReadHold } from '../../compat/paused-reads.ts'
import type { BulkProgressOptions } from './report-progress.ts'
import type { AbortOptions, Stream, StreamCloseEvent, StreamMessageEvent } from '@libp2p/interface'

const DEFAULT_HIGH_WATER_MARK = 4 * 1024 * 1024

/**
 * No window of yamux is smaller
 */
const MIN_WINDOW = 256 * 1024

/**
 * Options of `receiveBulk`. If the `signal` aborts, what is waiting is dropped and the
 * stream is aborted.
 */
export interface ReceiveBulkOptions extends AbortOptions, BulkProgressOptions {
  /**
   * How many bytes may wait for the reader. Three quarters of it is the most that
   * the peer may send without hearing from this end, so over yamux a transfer is
   * limited to that much per round trip, unless the window was larger before. It is
   * at least 256 KiB, what the peer may send in any case.
   *
   * Over QUIC what waits in the transport comes on top: up to the `maxStreamData`
   * that it was created with, 10 MB by default.
   *
   * @default 4_194_304
   */
  highWaterMark?: number
}

/**
 * What the peer sends until it ends the stream, in order, as soon as it is there. A
 * slow reader makes the peer wait: memory stays bounded, however much it sends, and in
 * however small frames. mplex cannot make it wait, so there the stream is aborted with
 * a `StreamBufferError` as `cause` when its `maxReadBufferLength`, 4 MiB by default,
 * has come on top.
 *
 * It listens from when it is called, so call it as soon as there is a stream, and
 * call it once. What has arrived before is not lost. But a node that does not run the service
 * cannot tell whether a stream that is closed when it is called was ended by the peer or
 * lost with the connection, and nor can one without `listenerGuard` whose peer has opened
 * the stream, unless that is over QUIC: then it throws when all has been read. And
 * without `quicReads` a reset that came before is taken for the end, over QUIC.
 *
 * It ends with the half-close of the peer, and with nothing else. If the stream is
 * reset or aborted, or the connection lost, it throws a `BulkTransferError` that
 * says how many bytes the reader got, after the reader got all that had arrived.
 * If the signal is aborted, it throws one without delay.
 *
 * A reader that leaves before the end aborts the stream, for writing too: there is
 * no other way to stop the peer, neither over yamux nor over QUIC.
 *
 * Chunks are pieces of memory as they were received, but pieces of less than 16 KiB
 * that wait together are joined, up to 64 KiB. It throws an `InvalidParametersError` at once
 * if an option is not valid.
 */
export function receiveBulk (stream: Stream, options: ReceiveBulkOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
  checkTransferOptions(options)

  const receiving = new Receiving(stream, { ...options, highWaterMark: options.highWaterMark ?? DEFAULT_HIGH_WATER_MARK })
  const chunks = receiving.chunks()
  const leave = chunks.return.bind(chunks)

  // a generator that has not begun, or is waiting, would not notice
  chunks.return = async () => {
    receiving.leave()

    return leave()
  }

  return chunks
}

class Receiving {
  #bytes = 0
  #receivedFin = false
  #isOver = false
  #failure?: { cause: unknown }
  #wake?: () => void
  readonly #queue = new PieceQueue()
  readonly #stream: Stream
  readonly #options: ReceiveBulkOptions
  readonly #progress: ProgressReporter
  readonly #hold: ReadHold
  readonly #holdAt: number

  constructor (stream: Stream, options: ReceiveBulkOptions & { highWaterMark: number }) {
    this.#stream = stream
    this.#options = options
    this.#progress = new ProgressReporter(options)
    this.#holdAt = options.highWaterMark / 4
    this.#hold = holdReads(stream, {
      window: Math.max(MIN_WINDOW, options.highWaterMark * 3 / 4),
      onError: err => { this.#fail(err) }
    })

    this.#listen()
    this.#checkStream()
  }

  async * chunks (): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      while (true) {
        // what is there already takes no promise
        const chunk = this.#take() ?? await this.#next()

        if (chunk == null) {
          return
        }

        this.#bytes += chunk.byteLength
        this.#progress.update(this.#bytes)

        yield chunk
      }
    } catch (err: any) {
      const cause = this.#failure == null ? err : this.#failure.cause
      const error = bulkTransferError('Receiving', this.#bytes, cause, this.#options.signal)
      this.#stream.abort(cause instanceof Error ? cause : error)

      throw error
    } finally {
      this.leave()
    }
  }

  /**
   * Nobody reads any more
   */
  leave (): void {
    if (this.#isOver) {
      return
    }

    this.#end()

    if (this.#stream.remoteWriteStatus !== 'closed') {
      this.#stream.abort(new AbortError('The reader left before the end of the stream'))
    }

    this.#queue.clear()
    this.#wake?.()
  }

  async #next (): Promise<Uint8Array | undefined> {
    while (!this.#isOver) {
      const chunk = this.#take()

      if (chunk != null) {
        return chunk
      }

      if (this.#isAborted || this.#isDrained()) {
        if (this.#failure != null) {
          throw this.#failure.cause
        }

        if (this.#receivedFin) {
          this.#progress.done(this.#bytes)
          return
        }
      }

      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }

  #take (): Uint8Array | undefined {
    const chunk = this.#queue.take()

    if (chunk != null) {
      this.#adjustHold()
    }

    return chunk
  }

  /**
   * What is left in a stream that was over before stays there
   */
  get #isAborted (): boolean {
    return this.#options.signal?.aborted === true
  }

  /**
   * Whether all that the stream has received is in the queue
   */
  #isDrained (): boolean {
    const { readBufferLength, readStatus } = this.#stream

    return readBufferLength === 0 || readStatus === 'closing' || readStatus === 'closed'
  }

  /**
   * When the reader has caught up by half, the peer may go on
   */
  #adjustHold (): void {
    if (this.#queue.byteLength <= this.#holdAt / 2) {
      this.#hold.release()
    }

    if (this.#queue.byteLength > this.#holdAt) {
      this.#hold.hold(this.#queue.byteLength)
    }
  }

  #listen (): void {
    this.#stream.addEventListener('message', this.#onMessage)
    this.#stream.addEventListener('remoteCloseWrite', this.#onRemoteCloseWrite)
    this.#stream.addEventListener('close', this.#onClose)
    this.#options.signal?.addEventListener('abort', this.#onAbort)
  }

  #end (): void {
    this.#isOver = true
    this.#stream.removeEventListener('message', this.#onMessage)
    this.#stream.removeEventListener('remoteCloseWrite', this.#onRemoteCloseWrite)
    this.#stream.removeEventListener('close', this.#onClose)
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    this.#hold.restore()
  }

  /**
   * What has happened before anybody listened
   */
  #checkStream (): void {
    const { status, readStatus, remoteWriteStatus } = this.#stream

    if (this.#isAborted) {
      this.#onAbort()
    } else if (status === 'reset') {
      this.#fail(new StreamResetError())
    } else if (status === 'aborted') {
      this.#fail(new StreamStateError('The stream was aborted'))
    } else if (remoteWriteStatus === 'closed' && this.#hold.verifyEnd != null) {
      void this.#hold.verifyEnd().then(this.#onRemoteCloseWrite)
    } else if (hasPeerEnded(this.#stream)) {
      this.#receivedFin = true
    } else if (status === 'closed') {
      this.#fail(new UnexpectedEOFError('The stream was closed before anybody read it, and the peer may not have ended it'))
    } else if (readStatus === 'closing' || readStatus === 'closed') {
      this.#fail(new StreamStateError(`Cannot read from a stream that is ${readStatus}`))
    }

    if (readStatus === 'paused') {
      this.#stream.resume()
    }
  }

  #fail (cause: unknown): void {
    this.#failure ??= { cause }
    this.#wake?.()
  }

  readonly #onMessage = (evt: StreamMessageEvent): void => {
    if (this.#isAborted) {
      return
    }

    this.#queue.add(evt.data)
    this.#adjustHold()
    this.#wake?.()
  }

  /**
   * A frame may end the stream and have data in it, which comes right after this
   */
  readonly #onRemoteCloseWrite = (): void => {
    this.#receivedFin = true
    this.#wake?.()
  }

  readonly #onClose = (evt: StreamCloseEvent): void => {
    if (evt.error != null || !this.#receivedFin) {
      this.#fail(evt.error ?? new UnexpectedEOFError('The connection was closed before the peer had ended the stream'))
    }
  }

  readonly #onAbort = (): void => {
    const { signal } = this.#options

    this.#fail(signal?.reason)
    this.#queue.clear()
    this.#stream.abort(signal?.reason instanceof Error ? signal.reason : new AbortError())
  }
}
