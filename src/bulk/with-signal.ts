import { setMaxListeners, TimeoutError } from '@libp2p/interface'
import { toError } from '../util/to-error.ts'

interface Timeout {
  ms: number
  message?: string
}

/**
 * Calls the function with a signal that aborts when one of several does, or with a
 * `TimeoutError` when the time is over, and leaves nothing behind when it has settled.
 *
 * The reason is an Error whatever the others were aborted with, so nothing below has to
 * mind that - which is why this is not any-signal. `AbortSignal.any` and
 * `AbortSignal.timeout` stay behind until the others, or the time, are over.
 */
export async function withSignal <T> (signals: Array<AbortSignal | undefined>, fn: (signal: AbortSignal) => Promise<T>, timeout?: Timeout): Promise<T> {
  const controller = new AbortController()
  const parents = signals.filter(signal => signal != null)
  const timer = timeout == null ? undefined : setTimeout(() => { controller.abort(new TimeoutError(timeout.message)) }, timeout.ms)

  const onAbort = (): void => {
    const parent = parents.find(({ aborted }) => aborted)

    if (parent != null) {
      controller.abort(toError(parent.reason))
    }
  }

  setMaxListeners(Infinity, controller.signal)
  parents.forEach(parent => { parent.addEventListener('abort', onAbort) })
  onAbort()

  try {
    return await fn(controller.signal)
  } finally {
    clearTimeout(timer)
    parents.forEach(parent => { parent.removeEventListener('abort', onAbort) })
  }
}
