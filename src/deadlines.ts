import { EarliestTimer } from './earliest-timer.ts'

/**
 * Calls functions when their time is up, unless they are deleted before. The timer is
 * left alone while nothing is due earlier: to set and clear one for each stream costs
 * a good part of opening it.
 */
export class Deadlines {
  readonly #deadlines = new Map<() => void, number>()
  readonly #timer = new EarliestTimer(() => { this.#onTimer() })

  /**
   * The timeout is in ms
   */
  add (onTimeout: () => void, timeout: number): void {
    const at = performance.now() + timeout

    this.#deadlines.set(onTimeout, at)
    this.#setTimer(at)
  }

  delete (onTimeout: () => void): void {
    this.#deadlines.delete(onTimeout)
  }

  stop (): void {
    this.#deadlines.clear()
    this.#timer.clear()
  }

  /**
   * It may be for what is over by then
   */
  #setTimer (at: number): void {
    this.#timer.set(at)
    this.#timer.unref()
  }

  #onTimer (): void {
    const now = performance.now()

    for (const [onTimeout, at] of this.#deadlines) {
      if (at <= now) {
        this.#deadlines.delete(onTimeout)
        onTimeout()
      }
    }

    for (const at of this.#deadlines.values()) {
      this.#setTimer(at)
    }
  }
}
