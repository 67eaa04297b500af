import { Deadline } from './deadline.ts'
import { raceSignal } from 'race-signal'

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
