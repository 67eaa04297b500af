/**
 * One turn of the event loop
 */
export async function turn (): Promise<void> {
  await new Promise<void>(resolve => { setImmediate(resolve) })
}

export async function turns (count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await turn()
  }
}

/**
 * Resolves when it is true
 */
export async function until (condition: () => boolean): Promise<void> {
  while (!condition()) {
    await turn()
  }
}
