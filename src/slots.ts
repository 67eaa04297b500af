import { EarliestTimer } from './earliest-timer.ts'

/**
 * Whose turn it is: higher priority first, then first in, first out
 */
export interface Turn {
  readonly priority: number

  /**
   * Who asked first, where the priority is the same
   */
  readonly order: number

  /**
   * For how long nothing may be given back until it gives up, in ms
   */
  readonly timeout: number
}

export interface Waiter extends Turn {
  /**
   * When it began to wait
   */
  since: number

  /**
   * It has given up, and does not wait any more
   */
  onTimeout(): void
}

export function goesBefore (a: Turn, b: Turn): boolean {
  return a.priority === b.priority ? a.order < b.order : a.priority > b.priority
}

/**
 * Something of which there may be only so many at a time, and those who wait for
 * one
 */
export class Slots<W extends Waiter = Waiter> {
  inUse = 0
  readonly #waiters: W[] = []
  #givenBackAt = 0

  /**
   * Most never need one. When it fires too early, as something was given back in the
   * meantime, it is set again.
   */
  #timer?: EarliestTimer

  get first (): W | undefined {
    return this.#waiters[0]
  }

  get waiting (): number {
    return this.#waiters.length
  }

  giveBack (): void {
    this.inUse--

    if (this.#waiters.length > 0) {
      this.#givenBackAt = performance.now()
    }
  }

  wait (waiter: W): void {
    this.#waiters.splice(this.#positionOf(waiter), 0, waiter)
    waiter.since = performance.now()
    this.#timer ??= new EarliestTimer(() => { this.#onTimer() })
    this.#timer.set(this.#givesUpAt(waiter))
  }

  leave (waiter: W): void {
    const position = this.#waiters.indexOf(waiter, this.#positionOf(waiter))

    if (position !== -1) {
      this.#waiters.splice(position, 1)
    }

    if (this.#waiters.length === 0) {
      this.#timer?.clear()
    }
  }

  /**
   * How many go before it
   */
  #positionOf (waiter: W): number {
    let low = 0
    let high = this.#waiters.length

    while (low < high) {
      const middle = (low + high) >>> 1

      if (goesBefore(this.#waiters[middle] as W, waiter)) {
        low = middle + 1
      } else {
        high = middle
      }
    }

    return low
  }

  #givesUpAt ({ since, timeout }: W): number {
    return Math.max(since, this.#givenBackAt) + timeout
  }

  #onTimer (): void {
    const now = performance.now()

    for (const waiter of [...this.#waiters]) {
      const at = this.#givesUpAt(waiter)

      if (at > now) {
        this.#timer?.set(at)
      } else {
        this.leave(waiter)
        waiter.onTimeout()
      }
    }
  }
}
