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
