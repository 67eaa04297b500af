import { AbortError } from '@libp2p/interface'

/**
 * A transfer ended before all of it was through: its `signal` aborted, its source
 * threw, the stream was reset or aborted, or the connection was lost.
 *
 * `cause` is what happened. Where that is the reason of an aborted signal the name
 * of this error is that of the reason, `AbortError` unless the signal has another
 * one - otherwise it is `BulkTransferError`.
 */
export class BulkTransferError extends Error {
  /**
   * Of a transfer that was sent: how many bytes the connection had taken by then,
   * of which the peer may have got fewer. Of one that was received: how many bytes
   * the reader got.
   */
  readonly bytes: number

  constructor (message: string, bytes: number, cause: unknown, name = 'BulkTransferError') {
    super(message, { cause })
    this.name = name
    this.bytes = bytes
  }
}

/**
 * What the sending and the receiving end report alike
 */
export function bulkTransferError (verb: 'Sending' | 'Receiving', bytes: number, cause: unknown, signal?: AbortSignal): BulkTransferError {
  const reason = cause instanceof Error ? cause : new AbortError(String(cause))
  const isAbort = signal?.aborted === true && cause === signal.reason

  return new BulkTransferError(`${verb} stopped after ${bytes} bytes - ${reason.message}`, bytes, cause, isAbort ? reason.name : undefined)
}
