import { checkOptions, reject } from '../../options.ts'
import type { BulkProgressOptions } from './report-progress.ts'
import type { AbortOptions } from '@libp2p/interface'

export interface TransferOptions extends AbortOptions, BulkProgressOptions {
  highWaterMark?: number
}

export function checkTransferOptions (options: TransferOptions): void {
  checkOptions(options)

  const { highWaterMark } = options

  if (highWaterMark != null && !(Number.isInteger(highWaterMark) && highWaterMark > 0)) {
    reject('highWaterMark', highWaterMark, 'a positive integer')
  }
}
