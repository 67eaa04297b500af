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
 * Replace methods on one object
 */
export function override <T extends object> (target: T, replacements: T): Override<T> {
  const names = Object.keys(replacements) as Array<keyof T>
  const inherited = names.map(name => !Object.hasOwn(target, name))
  const original = {} as T

  for (const name of names) {
    original[name] = target[name]
    target[name] = replacements[name]
  }

  return {
    original,
    restore: () => {
      // the last one first: removing the property that was added last keeps an
      // object out of V8's dictionary mode
      for (let i = names.length - 1; i >= 0; i--) {
        const name = names[i] as keyof T

        if (target[name] !== replacements[name]) {
          continue
        }

        if (inherited[i] === true) {
          delete target[name]
        } else {
          target[name] = original[name]
        }
      }
    }
  }
}
