import { MAX_TIMEOUT } from './constants.ts'
import { nextTurn } from './next-turn.ts'

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
  #cancelTurn?: () => void
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
   * Fire at this time, as of `performance.now()`, or before.
   *
   * After the event loop was busy, timers run before what has arrived in the
   * meantime is read. So that is done first: it may be what was waited for.
   */
  set (at: number): void {
    if (at < this.#at) {
      this.clear()
      this.#at = at
      this.#timer = setTimeout(() => {
        this.#cancelTurn = nextTurn(() => {
          this.#at = Infinity
          this.#onTime()
        })
      }, Math.min(Math.max(0, Math.ceil(at - performance.now())), MAX_TIMEOUT))

      if (!this.#keepsAlive) {
        unref(this.#timer)
      }
    }
  }

  clear (): void {
    clearTimeout(this.#timer)
    this.#cancelTurn?.()
    this.#at = Infinity
  }
}
