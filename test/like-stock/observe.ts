/**
 * What a program has seen, as text that can be compared with what another one has
 */
export interface Observer {
  /**
   * What was received, piece by piece - into how many is not compared
   */
  receive(data: Uint8Array): void

  /**
   * Something else that happened
   */
  note(what: string): void
}

/**
 * How long a program may go on without coming to its end, in ticks of 50 ms. While the
 * machine is busy elsewhere the clock stands still with the program.
 */
const PATIENCE = 20

export async function tick (): Promise<void> {
  await new Promise<void>(resolve => { setTimeout(resolve, 50) })
}

/**
 * Says it when so much time has passed, or when the signal aborts
 */
export async function ticks (count: number, what: string, signal?: AbortSignal): Promise<string> {
  for (let i = 0; i < count && signal?.aborted !== true; i++) {
    await tick()
  }

  return what
}

/**
 * An error is known by its name. What is rejected with something else is worth
 * seeing, even where stock does so.
 */
export function nameOf (err: unknown): string {
  return err instanceof Error ? err.name : `a ${String((err as object | undefined)?.constructor.name)} instead of an Error`
}

/**
 * Runs a program, and says what it has seen in the end: it comes to its end, it
 * fails with an error, or it hangs
 */
export async function observe (run: (observer: Observer) => Promise<void>, patience = PATIENCE): Promise<string> {
  const seen: string[] = []
  const decoder = new TextDecoder()
  let text = ''

  const flush = (): void => {
    if (text !== '') {
      seen.push(`'${text}'`)
      text = ''
    }
  }

  const note = (what: string): void => {
    flush()
    seen.push(what)
  }

  const done = new AbortController()
  const running = run({ receive: data => { text += decoder.decode(data) }, note })
    .then(() => 'ends', err => `fails with ${nameOf(err)}`)
  const end = await Promise.race([running, ticks(patience, 'hangs', done.signal)])

  done.abort()
  note(end)

  return seen.join(', ')
}
