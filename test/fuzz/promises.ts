import { setTimeout as delay } from 'node:timers/promises'

export type Outcome<T> = { value: T, error?: undefined } | { value?: undefined, error: Error }

/**
 * A promise of the README that was broken
 */
export class BrokenPromise extends Error {
  override readonly name = 'BrokenPromise'
}

export function check (holds: boolean, message: string, context?: unknown): asserts holds {
  if (!holds) {
    throw new BrokenPromise(context == null ? message : `${message} - ${JSON.stringify(context)}`)
  }
}

export function messageOf (err: unknown): string {
  if (!(err instanceof Error)) {
    return `a ${err?.constructor.name ?? String(err)}, which is not an Error`
  }

  return err instanceof BrokenPromise ? err.message : err.stack ?? `${err.name}: ${err.message}`
}

/**
 * It resolves, or rejects with an Error, within so many ms
 */
export async function settled <T> (promise: Promise<T>, what: string, limit: number): Promise<Outcome<T>> {
  const controller = new AbortController()
  const late = delay(limit, undefined, { signal: controller.signal }).then(() => {
    throw new BrokenPromise(`${what} does not settle within ${limit}ms`)
  })

  late.catch(() => {})

  try {
    return await Promise.race([promise.then(value => ({ value }), (error: unknown) => {
      check(error instanceof Error, `${what} rejects with ${messageOf(error)}`)

      return { error }
    }), late])
  } finally {
    controller.abort()
  }
}

/**
 * It becomes true within so many ms
 */
export async function becomes (condition: () => boolean, limit: number): Promise<boolean> {
  const start = performance.now()

  while (!condition()) {
    if (performance.now() - start > limit) {
      return false
    }

    await delay(2)
  }

  return true
}

/**
 * Throws the first error there was, after all of them are over
 */
export async function allOver (promises: Array<Promise<void>>): Promise<void> {
  for (const result of await Promise.allSettled(promises)) {
    if (result.status === 'rejected') {
      throw result.reason
    }
  }
}
