import { EarliestTimer } from './earliest-timer.ts'

/**
 * Calls functions when their time is up, unless they are deleted before. The timer is
 * left alone while nothing is due earlier: to set and clear one for each stream costs
 * a good part of opening it.
 */
export class Deadlines {
  readonly #deadlines = new Map<() => void, number>()
  readonly #timer = new EarliestTimer(now => { this.#onTimer(now) }, { keepsAlive: false })

  /**
   * The timeout is in ms
   */
  add (onTimeout: () => void, timeout: number): void {
    const at = performance.now() + timeout

    this.#deadlines.set(onTimeout, at)
    this.#timer.set(at)
  }

  delete (onTimeout: () => void): void {
    this.#deadlines.delete(onTimeout)
  }

  stop (): void {
    this.#deadlines.clear()
    this.#timer.clear()
  }

  /**
   * What it was set for may be over
   */
  #onTimer (now: number): void {
    for (const [onTimeout, at] of this.#deadlines) {
      if (at <= now) {
        this.#deadlines.delete(onTimeout)
        onTimeout()
      }
    }

    for (const at of this.#deadlines.values()) {
      this.#timer.set(at)
    }
  }
}
