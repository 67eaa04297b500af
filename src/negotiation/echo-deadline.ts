/**
 * How long the listener may take for its echo. As in libp2p, a signal says so if nobody
 * else does. The stream has been handed out by then: an abort that is no time-out does
 * not end it, the default time begins instead.
 */
import { TimeoutError } from '@libp2p/interface'
import { NEGOTIATION_TIMEOUT } from '../constants.ts'
import type { Deadlines } from '../util/deadlines.ts'

export interface EchoDeadlineInit {
  /**
   * The protocol that the listener is expected to speak
   */
  protocol: string

  /**
   * How long the echo may take, in ms - as long as the signal lasts if that is not said
   */
  timeout?: number

  /**
   * Of the call that opens the stream
   */
  signal?: AbortSignal

  /**
   * Of all negotiations
   */
  deadlines: Deadlines
}

export class EchoDeadline {
  readonly #init: EchoDeadlineInit
  readonly #timeout: number
  readonly #onOver: (err: TimeoutError) => void

  constructor (init: EchoDeadlineInit, onOver: (err: TimeoutError) => void) {
    const { signal, timeout } = init

    this.#init = init
    this.#timeout = timeout ?? NEGOTIATION_TIMEOUT
    this.#onOver = onOver
    signal?.addEventListener('abort', this.#onAbort)

    if (timeout != null || signal == null) {
      this.#start()
    }
  }

  stop (): void {
    const { deadlines, signal } = this.#init

    deadlines.delete(this.#onTimeout)
    signal?.removeEventListener('abort', this.#onAbort)
  }

  #start (): void {
    this.#init.deadlines.add(this.#onTimeout, this.#timeout)
  }

  readonly #onTimeout = (): void => {
    this.#fail(`within ${this.#timeout}ms`)
  }

  readonly #onAbort = (): void => {
    const { signal, timeout } = this.#init

    if (signal?.reason?.name === 'TimeoutError') {
      this.#fail('before the signal was aborted')
    } else if (timeout == null) {
      this.#start()
    }
  }

  #fail (late: string): void {
    this.#onOver(new TimeoutError(`The peer did not answer the handshake of ${this.#init.protocol} ${late}`))
  }
}
