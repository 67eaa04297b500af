import { DialDeniedError, TransportUnavailableError } from '../../errors.ts'
import type { BulkAttempt } from '../types.ts'
import type { Choice } from '../options.ts'
import type { PeerId } from '@libp2p/interface'

function describeAttempt ({ transport, addr, error }: BulkAttempt): string {
  return addr == null ? error.message : `${transport} ${addr}: ${error.message} (${error.name})`
}

function describeWanted (peer: PeerId | undefined, { transports, scope }: Choice): string {
  const direct = transports[0] === 'any' ? 'direct ' : ''
  const on = transports[0] === 'any' ? '' : ` on ${transports.join(' or ')}`
  const within = scope == null ? '' : ` with an address of scope ${scope}`

  return `${direct}connection to ${peer ?? 'the peer'}${on}${within}`
}

/**
 * What a search for a connection has tried in vain
 */
export class Trail {
  readonly attempts: BulkAttempt[] = []
  readonly #wanted: string

  constructor (peer: PeerId | undefined, choice: Choice) {
    this.#wanted = describeWanted(peer, choice)
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
    return this.attempts.map(describeAttempt).join('; ')
  }

  /**
   * Why there is none, in a sentence
   */
  toString (): string {
    return `There is no ${this.#wanted}: ${this.failures}`
  }

  toError (): TransportUnavailableError {
    return new TransportUnavailableError(this.toString(), [...this.attempts])
  }
}
