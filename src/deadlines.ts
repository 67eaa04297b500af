/**
 * The timer keeps no process alive. In a browser, where it is a number, it does not
 * anyway.
 */
function unref (timer: { unref?(): void } | number): void {
  if (typeof timer === 'object') {
    timer.unref?.()
  }
}

/**
 * Calls functions when their time is up, unless they are deleted before. One timer
 * does for all of them, and is left alone while nothing is due earlier: to set and
 * clear one for each stream costs a good part of opening it.
 */
export class Deadlines {
  readonly #deadlines = new Map<() => void, number>()
  #timer?: ReturnType<typeof setTimeout>
  #timerAt = Infinity

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
    this.#clearTimer()
  }

  #setTimer (at: number): void {
    if (at < this.#timerAt) {
      this.#clearTimer()
      this.#timerAt = at
      this.#timer = setTimeout(() => { this.#onTimer() }, Math.ceil(at - performance.now()))
      unref(this.#timer)
    }
  }

  #clearTimer (): void {
    clearTimeout(this.#timer)
    this.#timerAt = Infinity
  }

  #onTimer (): void {
    this.#clearTimer()
    const now = performance.now()

    for (const [onTimeout, at] of [...this.#deadlines]) {
      if (at > now) {
        this.#setTimer(at)
      } else if (this.#deadlines.delete(onTimeout)) {
        onTimeout()
      }
    }
  }
}
