import { CustomProgressEvent } from 'progress-events'
import type { ProgressEvent } from 'progress-events'

/**
 * How far a transfer has got
 */
export interface BulkProgress {
  /**
   * How many bytes the connection has taken so far, or the reader has got
   */
  bytes: number

  /**
   * Bytes per second, since the transfer began
   */
  rate: number
}

/**
 * The event that tells how far a transfer has got, in its `detail`
 */
export type BulkProgressEvent = ProgressEvent<'stream-opener:bulk-progress', BulkProgress>

/**
 * Options of `sendBulk` and `receiveBulk` alike
 */
export interface BulkProgressOptions {
  /**
   * Called with a `stream-opener:bulk-progress` event about once for each MiB, and
   * in the end, when `bytes` is the total. If it throws, the transfer fails with
   * that error.
   */
  onProgress?(evt: BulkProgressEvent): void
}

const INTERVAL = 1024 * 1024

/**
 * Says how far a transfer has got, but not with every chunk
 */
export class ProgressReporter {
  #reported = 0
  #isDone = false
  readonly #start = performance.now()
  readonly #options: BulkProgressOptions

  constructor (options: BulkProgressOptions) {
    this.#options = options
  }

  /**
   * How long the transfer has taken so far, in ms
   */
  get duration (): number {
    return performance.now() - this.#start
  }

  update (bytes: number): void {
    if (bytes - this.#reported >= INTERVAL) {
      this.#report(bytes)
    }
  }

  done (bytes: number): void {
    if (!this.#isDone) {
      this.#isDone = true
      this.#report(bytes)
    }
  }

  #report (bytes: number): void {
    this.#reported = bytes

    // a transfer may be over before the clock has moved
    const seconds = Math.max(this.duration, 0.001) / 1000

    this.#options.onProgress?.(new CustomProgressEvent<BulkProgress>('stream-opener:bulk-progress', {
      bytes,
      rate: bytes / seconds
    }))
  }
}
