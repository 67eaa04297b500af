import { DialDeniedError, TransportUnavailableError } from '../../errors.ts'
import type { BulkAttempt } from '../types.ts'

function describe ({ transport, addr, error }: BulkAttempt): string {
  return addr == null ? error.message : `${transport} ${addr}: ${error.message} (${error.name})`
}

/**
 * What a search for a connection has tried in vain
 */
export class Trail {
  readonly attempts: BulkAttempt[] = []
  readonly #wanted: string

  /**
   * What is looked for, in words
   */
  constructor (wanted: string) {
    this.#wanted = wanted
  }

  add (attempt: BulkAttempt): void {
    this.attempts.push(attempt)
  }

  /**
   * Whether nothing of the peer may be dialled
   */
  get isDenied (): boolean {
    return this.attempts.some(({ addr, error }) => addr == null && error.name === DialDeniedError.name)
  }

  /**
   * Whether this address was tried
   */
  has (addr: string): boolean {
    return this.attempts.some(attempt => attempt.addr?.toString() === addr)
  }

  /**
   * What was tried and why it failed, in words
   */
  get failures (): string {
    return this.attempts.map(describe).join('; ')
  }

  /**
   * Why there is none, in a sentence
   */
  toString (): string {
    return `There is ${this.#wanted}: ${this.failures}`
  }

  toError (): TransportUnavailableError {
    return new TransportUnavailableError(this.toString(), [...this.attempts])
  }
}
