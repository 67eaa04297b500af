import { EarliestTimer } from '../util/earliest-timer.ts'
import { createTimeoutError } from './timeout-error.ts'
import type { Call } from './call.ts'
import type { Limit, Need } from './limit.ts'
import type { Permit } from './permit.ts'

export interface Waiting {
  call: Call
  queue: Queue

  /**
   * As of `performance.now()`
   */
  since: number

  granted: PromiseWithResolvers<Permit>
}

/**
 * Higher priority first, then first in, first out
 */
export function goesBefore (a: Call, b: Call): boolean {
  return a.priority === b.priority ? a.order < b.order : a.priority > b.priority
}

/**
 * What a call needs of which there is none left for it
 */
export interface Shortage {
  limit: Limit
  need: Need
}

/**
 * Calls of one kind, in order. They need the same, so what the first lacks all of them
 * do.
 */
export class Queue {
  readonly kind: string
  readonly connection: object
  #lacks: Shortage
  readonly #calls: Waiting[] = []
  readonly #giveUp: (waiting: Waiting, err: Error) => void

  /**
   * When the last of what they lacked before was given back
   */
  #givenBackAt = 0

  /**
   * When it fires too early, as something was given back in the meantime, it is set
   * again
   */
  readonly #timer = new EarliestTimer(now => { this.#onTimer(now) })

  /**
   * `giveUp` is called when nothing was given back for as long as the call was to wait
   */
  constructor ({ kind, connection }: Call, lacks: Shortage, giveUp: (waiting: Waiting, err: Error) => void) {
    this.kind = kind
    this.connection = connection
    this.#lacks = lacks
    this.#giveUp = giveUp
  }

  /**
   * Of a queue that is not empty
   */
  get first (): Waiting {
    return this.#calls[0] as Waiting
  }

  get length (): number {
    return this.#calls.length
  }

  join (waiting: Waiting): void {
    const until = this.#waitsUntil(waiting)

    this.#calls.splice(this.#positionOf(waiting), 0, waiting)

    if (until > performance.now()) {
      this.#timer.set(until)
    } else {
      this.#onTimeout(waiting)
    }
  }

  /**
   * Returns false if it does not wait any more
   */
  leave (waiting: Waiting): boolean {
    const position = this.#positionOf(waiting)

    if (this.#calls[position] !== waiting) {
      return false
    }

    this.#calls.splice(position, 1)

    if (this.#calls.length === 0) {
      this.#timer.clear()
    }

    return true
  }

  get lacks (): Shortage {
    return this.#lacks
  }

  /**
   * What was given back before counts as moving, that it is another limit now does not
   */
  set lacks (shortage: Shortage) {
    this.#givenBackAt = Math.max(this.#givenBackAt, this.#lacks.limit.givenBackAt)
    this.#lacks = shortage
  }

  /**
   * Nobody waits any more - returns those who did
   */
  clear (): Waiting[] {
    this.#timer.clear()

    return this.#calls.splice(0)
  }

  /**
   * How many go before it
   */
  #positionOf ({ call }: Waiting): number {
    let low = 0
    let high = this.#calls.length

    while (low < high) {
      const middle = (low + high) >>> 1

      if (goesBefore((this.#calls[middle] as Waiting).call, call)) {
        low = middle + 1
      } else {
        high = middle
      }
    }

    return low
  }

  #waitsUntil ({ since, call }: Waiting): number {
    return Math.max(since, this.#givenBackAt, this.#lacks.limit.givenBackAt) + call.timeout
  }

  #onTimer (now: number): void {
    this.#calls.filter(waiting => this.#waitsUntil(waiting) <= now).forEach(waiting => { this.#onTimeout(waiting) })
    this.#calls.forEach(waiting => { this.#timer.set(this.#waitsUntil(waiting)) })
  }

  #onTimeout (waiting: Waiting): void {
    this.#giveUp(waiting, createTimeoutError(this.#lacks.need, this.#lacks.limit.inUse, waiting.call.timeout))
  }
}
