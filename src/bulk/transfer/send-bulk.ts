import { StreamStateError } from '@libp2p/interface'
import { untilNextTurn } from '../../util/next-turn.ts'
import { bulkTransferError, checkTransferOptions } from './both-ends.ts'
import { InvalidChunkError, iterateSource, piecesOf } from './iterate-source.ts'
import { ProgressReporter } from './report-progress.ts'
import { TurnBudget } from './turn-budget.ts'
import { MAX_BATCH, WriteAhead } from './write-ahead.ts'
import type { BulkSource, SourceIterator } from './iterate-source.ts'
import type { BulkProgressOptions } from './report-progress.ts'
import type { AbortOptions, Stream, StreamCloseEvent } from '@libp2p/interface'

/**
 * Options of `sendBulk`. If the `signal` aborts, the stream is aborted and the source is
 * told to stop.
 */
export interface SendBulkOptions extends AbortOptions, BulkProgressOptions {
  /**
   * How many bytes wait in the write buffer of the stream, so that the connection
   * always has something to send. As many again, up to the default, are collected
   * meanwhile. A stream with a `maxWriteBufferLength` is filled up to half of that at
   * most, one without frames, as over QUIC, with one chunk at a time. Over yamux to
   * rust-libp2p, more than 1 MiB may end the connection.
   *
   * @default 983_040
   */
  highWaterMark?: number
}

/**
 * What a transfer that went through comes to
 */
export interface SendBulkResult {
  /**
   * How many bytes were sent
   */
  bytes: number

  /**
   * How long it took, in ms
   */
  duration: number
}

/**
 * Send all that the source yields, at full speed, and end with the half-close:
 * the stream is closed for writing, and can still be read from.
 *
 * Chunks are not changed, and not copied unless they are smaller than 16 KiB, over
 * QUIC 64 KiB. As with `stream.send`, the source must not write to a chunk any more
 * after it has yielded it. While the peer does not take what is sent, the source is
 * not asked for more.
 *
 * It resolves when the connection has taken all bytes, and the end of the data (the
 * FIN) behind them. They reach the peer if the connection lives. So wait for an answer,
 * or for the peer to close its end of the stream, as `receiveBulk` does, before you
 * close the connection or stop the node. If you do not, with any stream of libp2p:
 *
 * - Over TCP, all is passed on to the operating system, and the socket destroyed.
 *   Whatever the peer sends after that, such as the window updates of yamux, is
 *   answered with a reset, and its operating system drops what was not read yet. Of
 *   transfers of 2 MB on one machine about half were lost.
 * - Over QUIC, what the peer has not acknowledged is dropped. All of them were lost.
 * - Over WebSockets, the socket is closed when the peer has agreed, and so has read
 *   everything. None was lost.
 *
 * It yields to the event loop, however small the chunks or the `highWaterMark` are.
 *
 * It rejects with a `BulkTransferError` that says how many bytes the connection has
 * taken if the signal is aborted, the source throws, or the stream is closed before
 * that. The stream is then aborted, and the source is told to stop.
 *
 * It rejects with an `InvalidParametersError` if the source is not iterable or an
 * option is not valid, which leaves the stream alone, and as soon as the source
 * yields something else than bytes, which aborts it.
 */
export async function sendBulk (stream: Stream, source: BulkSource, options: SendBulkOptions = {}): Promise<SendBulkResult> {
  checkTransferOptions(options)

  return new Sending(stream, iterateSource(source), { ...options, highWaterMark: options.highWaterMark ?? MAX_BATCH }).run()
}

function isPromise <T> (value: T | Promise<T>): value is Promise<T> {
  return typeof (value as Partial<Promise<T>>).then === 'function'
}

class Sending {
  #failure?: { cause: unknown }
  #isClosing = false
  #sourceIsDone = false
  #reject?: (err: unknown) => void
  readonly #turn = new TurnBudget()
  readonly #stream: Stream
  readonly #source: SourceIterator
  readonly #options: SendBulkOptions
  readonly #progress: ProgressReporter
  readonly #writer: WriteAhead

  constructor (stream: Stream, source: SourceIterator, options: SendBulkOptions & { highWaterMark: number }) {
    this.#stream = stream
    this.#source = source
    this.#options = options
    this.#progress = new ProgressReporter(options)
    this.#writer = new WriteAhead(stream, {
      highWaterMark: options.highWaterMark,
      onError: err => { this.#fail(err) }
    })
  }

  async run (): Promise<SendBulkResult> {
    const { signal } = this.#options

    this.#stream.addEventListener('close', this.#onClose)
    signal?.addEventListener('abort', this.#onAbort)

    try {
      if (signal?.aborted === true) {
        this.#onAbort()
      }

      const bytes = await this.#sendAll()
      await this.#close()
      this.#progress.done(bytes)

      return { bytes, duration: this.#progress.duration }
    } catch (err) {
      throw this.#stop(this.#failure == null ? err : this.#failure.cause)
    } finally {
      this.#writer.stop()
      this.#stream.removeEventListener('close', this.#onClose)
      signal?.removeEventListener('abort', this.#onAbort)
    }
  }

  async #sendAll (): Promise<number> {
    let bytes = 0

    while (true) {
      if (this.#turn.spend()) {
        await this.#unlessFailed(untilNextTurn())
      }

      this.#checkStream()

      const { done, value } = await this.#next()

      if (done === true) {
        this.#sourceIsDone = true
        return bytes
      }

      for (const piece of piecesOf(value)) {
        await this.#send(piece)
        bytes += piece.byteLength
      }
    }
  }

  async #next (): Promise<IteratorResult<unknown>> {
    try {
      const next = this.#source.next()

      if (isPromise(next)) {
        this.#writer.flushSoon()

        return await this.#unlessFailed(next)
      }

      return next
    } catch (err) {
      this.#sourceIsDone = this.#failure == null

      throw err
    }
  }

  async #send (data: Uint8Array): Promise<void> {
    let offset = 0

    while (offset < data.byteLength) {
      if (!this.#writer.hasRoom) {
        await this.#unlessFailed(this.#writer.flush())
      }

      offset += this.#writer.write(offset === 0 ? data : data.subarray(offset))
      this.#progress.update(this.#writer.taken)

      if (this.#turn.spend()) {
        await this.#unlessFailed(untilNextTurn())
      }
    }
  }

  async #close (): Promise<void> {
    this.#checkStream()
    await this.#unlessFailed(this.#writer.flush())
    this.#checkStream()
    this.#isClosing = true

    // without the signal: streams leave listeners on it, and are aborted anyway
    await this.#unlessFailed(this.#stream.close())
  }

  #checkStream (): void {
    if (this.#failure != null) {
      throw this.#failure.cause
    }

    if (this.#stream.writeStatus !== 'writable') {
      throw new StreamStateError(`Cannot write to a stream that is ${this.#stream.writeStatus}`)
    }
  }

  /**
   * One promise that is raced against all others would collect their reactions for
   * as long as the transfer takes
   */
  async #unlessFailed <T> (promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject
      promise.then(resolve, reject)
    })
  }

  #fail (cause: unknown): void {
    this.#failure ??= { cause }
    this.#reject?.(cause)
  }

  readonly #onAbort = (): void => {
    this.#fail(this.#options.signal?.reason)
  }

  readonly #onClose = (evt: StreamCloseEvent): void => {
    const cause = evt.error ?? new StreamStateError('The stream was closed before everything was sent')

    if (this.#isClosing && evt.error == null) {
      // the peer has closed its end before: if this is not the end that was waited
      // for, closing the stream fails
      this.#failure ??= { cause }
      return
    }

    this.#fail(cause)
  }

  #stop (cause: any): unknown {
    const error = bulkTransferError('Sending', this.#writer.taken, cause, this.#options.signal)

    this.#stream.abort(cause instanceof Error ? cause : error)
    this.#stopSource()

    return cause instanceof InvalidChunkError ? cause : error
  }

  /**
   * Nobody waits for it: a generator does not return before what it is waiting for
   * itself
   */
  #stopSource (): void {
    if (this.#sourceIsDone) {
      return
    }

    Promise.resolve(this.#source)
      .then(async source => source.return?.())
      .catch(err => { this.#stream.log.error('could not stop the source - %e', err) })
  }
}
