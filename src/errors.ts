import type { BulkAttempt } from './bulk/types.ts'

/**
 * A call waited for a limit of the peer, and for `queueTimeout` nothing happened
 * that could have let it go on. The message says what holds it up, and which
 * option to change.
 */
export class QueueTimeoutError extends Error {
  static override readonly name = 'QueueTimeoutError'

  constructor (message: string) {
    super(message)
    this.name = 'QueueTimeoutError'
  }
}

/**
 * The connection gater does not allow the dial. libp2p has an error of this name
 * but does not export it.
 */
export class DialDeniedError extends Error {
  static override readonly name = 'DialDeniedError'

  constructor (message: string) {
    super(message)
    this.name = 'DialDeniedError'
  }
}

/**
 * There is no connection to the peer on a transport that would do. The message
 * says what was tried, `attempts` holds the same for programs.
 */
export class TransportUnavailableError extends Error {
  static override readonly name = 'TransportUnavailableError'

  /**
   * What was tried, in this order, and why each failed
   */
  readonly attempts: BulkAttempt[]

  constructor (message: string, attempts: BulkAttempt[]) {
    super(message)
    this.name = 'TransportUnavailableError'
    this.attempts = attempts
  }
}

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
