import { AbortError } from '@libp2p/interface'
import { BulkTransferError } from '../errors.ts'

/**
 * What the sending and the receiving end report alike
 */
export function bulkTransferError (verb: 'Sending' | 'Receiving', bytes: number, cause: unknown, signal?: AbortSignal): BulkTransferError {
  const reason = cause instanceof Error ? cause : new AbortError(String(cause))
  const isAbort = signal?.aborted === true && cause === signal.reason

  return new BulkTransferError(`${verb} stopped after ${bytes} bytes - ${reason.message}`, bytes, cause, isAbort ? reason.name : undefined)
}
