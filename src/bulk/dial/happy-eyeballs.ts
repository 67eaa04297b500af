import { AbortError } from '@libp2p/interface'
import { raceSignal } from 'race-signal'

interface HappyEyeballsInit<T, R> {
  /**
   * How long each has to itself, in ms
   */
  delay: number
  signal: AbortSignal

  /**
   * The signal aborts when another one was first
   */
  start(candidate: T, signal: AbortSignal): Promise<R>

  onFailure(candidate: T, err: unknown): void
}

/**
 * Starts with the first candidate. The next one follows when one has failed, or after
 * the delay. Resolves with the first success, or with undefined if there was none.
 *
 * @see https://datatracker.ietf.org/doc/html/rfc8305#section-5
 */
export async function happyEyeballs <T, R> (candidates: T[], init: HappyEyeballsInit<T, R>): Promise<R | undefined> {
  const { promise, resolve } = Promise.withResolvers<R | undefined>()
  const controller = new AbortController()
  const { signal } = controller
  const waiting = [...candidates]
  let running = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  const startNext = (): void => {
    clearTimeout(timer)

    const [candidate] = waiting.splice(0, 1)

    if (candidate != null) {
      run(candidate)
    } else if (running === 0) {
      resolve(undefined)
    }
  }

  const run = (candidate: T): void => {
    running++

    if (waiting.length > 0) {
      timer = setTimeout(startNext, init.delay)
    }

    init.start(candidate, signal).then(resolve, err => {
      running--

      if (!signal.aborted) {
        init.onFailure(candidate, err)
        startNext()
      }
    })
  }

  init.signal.throwIfAborted()
  startNext()

  try {
    return await raceSignal(promise, init.signal)
  } finally {
    clearTimeout(timer)
    controller.abort(init.signal.aborted ? init.signal.reason : new AbortError('Another address was faster'))
  }
}
