import { becomes, check } from './promises.ts'

function count (): number {
  return process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
}

export interface TimersLeft {
  checkNoneAreLeft(): Promise<void>
}

/**
 * Counts the timers that keep the process from ending, and those that have been
 * added since then
 */
export function timersLeft (): TimersLeft {
  const before = count()

  return {
    checkNoneAreLeft: async () => {
      // the timer that this waits with is one
      await becomes(() => count() <= before, 2_000)
      check(count() <= before, `${count() - before} timers are left`)
    }
  }
}
