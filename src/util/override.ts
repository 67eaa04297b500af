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
 * Methods that are not wanted any more, but that somebody else has replaced since, and
 * what was there before them
 */
const retired = new WeakMap<object, unknown>()

/**
 * What was there before the method, where it is still in place - otherwise whoever has
 * replaced it puts back what was there before it
 */
export function retire <F extends object> (current: F, method: F, original: F): F {
  if (current === method) {
    return lasting(original)
  }

  retired.set(method, original)

  return current
}

function lasting <V> (value: V): V {
  while (typeof value === 'function' && retired.has(value)) {
    value = retired.get(value) as V & object
  }

  return value
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
          target[name] = lasting(original[name])
        } else if (typeof replacements[name] === 'function') {
          retired.set(replacements[name], original[name])
        }
      }
    }
  }
}
