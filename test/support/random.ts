/**
 * Numbers from 0 to 1 that look random and are the same each time (mulberry32), so
 * that what is drawn from samples, or lost on the way, can be had again
 */
export function randomFrom (seed: number): () => number {
  let state = seed

  return () => {
    state = (state + 0x6d2b79f5) | 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value

    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
}
