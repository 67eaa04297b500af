import { MAX_LATE, MAX_TIMEOUT } from '../constants.ts'
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
  readonly #onTime: (now: number) => void
  readonly #keepsAlive: boolean

  /**
   * `onTime` is called with the time that it is about: what has come to its end since
   * is yet to get the chance to be read. It keeps the process alive unless told not to.
   */
  constructor (onTime: (now: number) => void, { keepsAlive = true } = {}) {
    this.#onTime = onTime
    this.#keepsAlive = keepsAlive
  }

  /**
   * Fire at this time, as of `performance.now()`, or before
   */
  set (at: number): void {
    if (at < this.#at) {
      this.clear()
      this.#at = at
      this.#start(at - performance.now(), () => { this.#readFirst(at) })
    }
  }

  /**
   * After the event loop was busy, timers run before what has arrived in the meantime
   * is read, which may be what was waited for. So there is as much time again for that
   * as the loop was late: over QUIC each read is a matter of other threads. Over TCP it
   * is done by the next turn.
   */
  #readFirst (at: number): void {
    const now = performance.now()
    const late = Math.min(now - at, MAX_LATE)

    const onRead = (): void => {
      this.#cancelTurn = nextTurn(() => {
        this.#at = Infinity
        this.#onTime(now)
      })
    }

    if (late < 1) {
      onRead()
    } else {
      this.#start(late, onRead)
    }
  }

  #start (ms: number, fn: () => void): void {
    this.#timer = setTimeout(fn, Math.min(Math.max(0, Math.ceil(ms)), MAX_TIMEOUT))

    if (!this.#keepsAlive) {
      unref(this.#timer)
    }
  }

  clear (): void {
    clearTimeout(this.#timer)
    this.#cancelTurn?.()
    this.#at = Infinity
  }
}
