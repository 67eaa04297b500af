/**
 * One timer for many times: it is set for the earliest of them
 */
export class EarliestTimer {
  #timer?: ReturnType<typeof setTimeout>
  #at = Infinity
  readonly #onTime: () => void

  constructor (onTime: () => void) {
    this.#onTime = onTime
  }

  /**
   * Fire at this time, as of `performance.now()`, unless it fires before
   */
  set (at: number): void {
    if (at < this.#at) {
      this.clear()
      this.#at = at
      this.#timer = setTimeout(() => {
        this.#at = Infinity
        this.#onTime()
      }, Math.ceil(at - performance.now()))
    }
  }

  /**
   * Do not keep the process alive. In a browser, where a timer is a number, it does not
   * anyway.
   */
  unref (): void {
    const timer = this.#timer as { unref?(): void } | number | undefined

    if (typeof timer === 'object') {
      timer.unref?.()
    }
  }

  clear (): void {
    clearTimeout(this.#timer)
    this.#at = Infinity
  }
}
