/**
 * In a browser a timer is a number, and keeps nothing alive anyway
 */
function unref (timer: { unref?(): void } | number): void {
  if (typeof timer === 'object') {
    timer.unref?.()
  }
}

/**
 * One timer for many times: it is set for the earliest of them
 */
export class EarliestTimer {
  #timer?: ReturnType<typeof setTimeout>
  #at = Infinity
  readonly #onTime: () => void
  readonly #keepsAlive: boolean

  /**
   * It keeps the process alive unless told not to
   */
  constructor (onTime: () => void, { keepsAlive = true } = {}) {
    this.#onTime = onTime
    this.#keepsAlive = keepsAlive
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

      if (!this.#keepsAlive) {
        unref(this.#timer)
      }
    }
  }

  clear (): void {
    clearTimeout(this.#timer)
    this.#at = Infinity
  }
}
