import type { BulkAttempt } from './bulk/index.ts'

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

  readonly attempts: BulkAttempt[]

  constructor (message: string, attempts: BulkAttempt[]) {
    super(message)
    this.name = 'TransportUnavailableError'
    this.attempts = attempts
  }
}
