import { BulkTransferError } from '../../errors.ts'
import { toError } from '../../util/to-error.ts'

/**
 * What the sending and the receiving end report alike
 */
export function bulkTransferError (verb: 'Sending' | 'Receiving', bytes: number, cause: unknown, signal?: AbortSignal): BulkTransferError {
  const reason = toError(cause)
  const isAbort = signal?.aborted === true && cause === signal.reason

  return new BulkTransferError(`${verb} stopped after ${bytes} bytes - ${reason.message}`, bytes, isAbort ? cause : reason, isAbort ? reason.name : undefined)
}
