/**
 * What the sending and the receiving end have in common
 */
import { BulkTransferError } from '../../errors.ts'
import { checkOptions, reject } from '../../options.ts'
import { toError } from '../../util/to-error.ts'
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

export function bulkTransferError (verb: 'Sending' | 'Receiving', bytes: number, cause: unknown, signal?: AbortSignal): BulkTransferError {
  const reason = toError(cause)
  const isAbort = signal?.aborted === true && cause === signal.reason

  return new BulkTransferError(`${verb} stopped after ${bytes} bytes - ${reason.message}`, bytes, isAbort ? cause : reason, isAbort ? reason.name : undefined)
}
