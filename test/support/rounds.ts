/**
 * How much of what is repeated, or is a large table, is done: all of it in
 * `npm run test:soak`, a part of it in `npm test`
 */
import { inject } from 'vitest'

declare module 'vitest' {
  interface ProvidedContext {
    isSoak: boolean
  }
}

/**
 * A tenth of them, unless that says too little, or takes too long
 */
export function rounds (all: number, divisor = 10): number {
  return inject('isSoak') ? all : Math.ceil(all / divisor)
}

/**
 * Every fourth case, or whatever it says. Tables of the same cases take others with other
 * offsets. What none of them takes is for the soak alone.
 */
export function sampled <T> (cases: T[], offset: number, every = 4): T[] {
  return cases.filter((_, i) => inject('isSoak') || (i + offset) % every === 0)
}
