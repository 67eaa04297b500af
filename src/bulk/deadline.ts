import { setMaxListeners, TimeoutError } from '@libp2p/interface'
import { raceSignal } from 'race-signal'
import { toError } from '../util/to-error.ts'

/**
 * A signal that aborts when one of several does, with its reason as an Error, or with a
 * `TimeoutError` when the time is over. When it is cleared it leaves nothing behind,
 * as `AbortSignal.any` and `AbortSignal.timeout` would.
 */
export class Deadline {
  readonly #controller = new AbortController()
  readonly #parents: AbortSignal[]
  readonly #timer?: ReturnType<typeof setTimeout>

  /**
   * There is no limit without the ms
   */
  constructor (parents: Array<AbortSignal | undefined>, ms?: number, message?: string) {
    setMaxListeners(Infinity, this.#controller.signal)

    this.#parents = parents.filter(parent => parent != null)

    if (ms != null) {
      this.#timer = setTimeout(() => { this.#controller.abort(new TimeoutError(message)) }, ms)
    }

    for (const parent of this.#parents) {
      parent.addEventListener('abort', this.#onAbort)
    }

    this.#onAbort()
  }

  get signal (): AbortSignal {
    return this.#controller.signal
  }

  clear (): void {
    clearTimeout(this.#timer)
    this.#parents.forEach(parent => { parent.removeEventListener('abort', this.#onAbort) })
  }

  readonly #onAbort = (): void => {
    const parent = this.#parents.find(({ aborted }) => aborted)

    if (parent != null) {
      this.#controller.abort(toError(parent.reason))
    }
  }
}

/**
 * Resolves after so many ms, or rejects with the reason of the first signal that
 * aborts
 */
export async function delay (ms: number, ...signals: Array<AbortSignal | undefined>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const deadline = new Deadline(signals)
  const timer = setTimeout(resolve, ms)

  try {
    await raceSignal(promise, deadline.signal)
  } finally {
    clearTimeout(timer)
    deadline.clear()
  }
}
