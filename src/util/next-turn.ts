interface Immediates {
  setImmediate?(fn: () => void): unknown
  clearImmediate?(id: unknown): void
}

/**
 * Resolves in the next turn of the event loop
 */
export async function untilNextTurn (): Promise<void> {
  await new Promise<void>(resolve => { nextTurn(resolve) })
}

/**
 * Call the function after so many ms, or in the next turn if none are given - returns a
 * function that takes that back
 */
export function later (fn: () => void, ms?: number): () => void {
  if (ms == null) {
    return nextTurn(fn)
  }

  const id = setTimeout(fn, ms)

  return () => { clearTimeout(id) }
}

/**
 * Call the function in the next turn of the event loop - returns a function that
 * takes that back. Browsers have no `setImmediate`.
 */
export function nextTurn (fn: () => void): () => void {
  const { setImmediate, clearImmediate } = globalThis as Immediates

  if (setImmediate != null && clearImmediate != null) {
    const id = setImmediate(fn)

    return () => { clearImmediate(id) }
  }

  return later(fn, 0)
}
