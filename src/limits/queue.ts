import { EarliestTimer } from '../util/earliest-timer.ts'
import { goesBefore } from './turn.ts'
import type { Call } from './call.ts'
import type { Permit } from './permit.ts'
import type { Slots } from './slots.ts'
import type { Turn } from './turn.ts'

export interface WaitingCall extends Turn {
  call: Call

  /**
   * For how long nothing may be given back until it gives up, in ms
   */
  timeout: number

  /**
   * When it began to wait, as of `performance.now()`
   */
  since: number

  serve(permit: Permit): void
  fail(err: Error): void
}

export interface QueueInit {
  slots: Slots<Queue>

  /**
   * Nothing was given back for as long as the call was to wait
   */
  onTimeout(waiting: WaitingCall): void

  /**
   * Nobody waits any more
   */
  onEmpty(): void
}

/**
 * Calls of one kind, in order. They need the same, so all of them wait for the same,
 * and when that changes nobody has to look at each.
 */
export class Queue {
  slots: Slots<Queue>
  readonly #init: QueueInit
  readonly #calls: WaitingCall[] = []

  /**
   * When the last of what they waited for before was given back
   */
  #givenBackAt = 0

  /**
   * When it fires too early, as something was given back in the meantime, it is set
   * again
   */
  readonly #timer = new EarliestTimer(now => { this.#onTimer(now) })

  constructor (init: QueueInit) {
    this.#init = init
    this.slots = init.slots
    this.slots.queues.add(this)
  }

  /**
   * There is one as long as anybody waits
   */
  get first (): WaitingCall {
    return this.#calls[0] as WaitingCall
  }

  get length (): number {
    return this.#calls.length
  }

  join (waiting: WaitingCall): void {
    this.#calls.splice(this.#positionOf(waiting), 0, waiting)
    this.#timer.set(this.#givesUpAt(waiting))
  }

  /**
   * Returns false if it does not wait any more
   */
  leave (waiting: WaitingCall): boolean {
    const position = this.#positionOf(waiting)

    if (this.#calls[position] !== waiting) {
      return false
    }

    this.#calls.splice(position, 1)

    if (this.#calls.length === 0) {
      this.#end()
    }

    return true
  }

  /**
   * Wait for one of these instead. What was given back before counts as moving, that
   * it is another queue now does not.
   */
  moveTo (slots: Slots<Queue>): void {
    this.#givenBackAt = Math.max(this.#givenBackAt, this.slots.givenBackAt)
    this.slots.queues.delete(this)
    this.slots = slots
    slots.queues.add(this)
  }

  /**
   * Nobody waits any more - returns those who did
   */
  clear (): WaitingCall[] {
    const calls = this.#calls.splice(0)
    this.#end()

    return calls
  }

  #end (): void {
    this.slots.queues.delete(this)
    this.#timer.clear()
    this.#init.onEmpty()
  }

  /**
   * How many go before it
   */
  #positionOf (waiting: WaitingCall): number {
    let low = 0
    let high = this.#calls.length

    while (low < high) {
      const middle = (low + high) >>> 1

      if (goesBefore(this.#calls[middle] as WaitingCall, waiting)) {
        low = middle + 1
      } else {
        high = middle
      }
    }

    return low
  }

  #givesUpAt ({ since, timeout }: WaitingCall): number {
    return Math.max(since, this.#givenBackAt, this.slots.givenBackAt) + timeout
  }

  #onTimer (now: number): void {
    for (const waiting of [...this.#calls]) {
      const at = this.#givesUpAt(waiting)

      if (at > now) {
        this.#timer.set(at)
      } else {
        this.#init.onTimeout(waiting)
      }
    }
  }
}
