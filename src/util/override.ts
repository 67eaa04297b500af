export interface Override<T> {
  /**
   * What was there before, to be called with the object as `this`
   */
  readonly original: T

  /**
   * Put back what was there before - apart from methods that somebody else has
   * replaced in the meantime: what they call is still in place, and has to pass
   * the call on.
   */
  restore(): void
}

/**
 * Replace methods, or fields, of one object
 */
export function override <T extends object> (target: T, replacements: T): Override<T> {
  const original = {} as T

  for (const name in replacements) {
    original[name] = target[name]
    target[name] = replacements[name]
  }

  return {
    original,
    restore: () => {
      // properties are not deleted: that would cost more than all the rest, as V8
      // then turns the object into a hash table
      for (const name in replacements) {
        if (target[name] === replacements[name]) {
          target[name] = original[name]
        }
      }
    }
  }
}
