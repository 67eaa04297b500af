import { reject } from '../options.ts'
import type { BulkProgressOptions } from './report-progress.ts'
import type { AbortOptions } from '@libp2p/interface'

interface CommonOptions extends AbortOptions {
  onProgress?(evt: any): void
}

export interface TransferOptions extends AbortOptions, BulkProgressOptions {
  highWaterMark?: number
}

/**
 * What all functions for bulk streams take
 */
export function checkOptions (options: CommonOptions | null): void {
  if (options === null || typeof options !== 'object') {
    reject('options', options, 'an object')
  }

  const { signal, onProgress } = options

  if (signal != null && typeof signal.addEventListener !== 'function') {
    reject('signal', signal, 'an AbortSignal')
  }

  if (onProgress != null && typeof onProgress !== 'function') {
    reject('onProgress', onProgress, 'a function')
  }
}

export function checkTransferOptions (options: TransferOptions): void {
  checkOptions(options)

  const { highWaterMark } = options

  if (highWaterMark != null && !(Number.isInteger(highWaterMark) && highWaterMark > 0)) {
    reject('highWaterMark', highWaterMark, 'a positive integer')
  }
}
