/**
 * Whose turn it is: higher priority first, then first in, first out
 */
export interface Turn {
  readonly priority: number

  /**
   * Who asked first, where the priority is the same
   */
  readonly order: number
}

export function goesBefore (a: Turn, b: Turn): boolean {
  return a.priority === b.priority ? a.order < b.order : a.priority > b.priority
}

/**
 * The queue whose first call goes before those of the others
 */
export function firstOf <Q extends { readonly first: Turn }> (queues: Iterable<Q>): Q | undefined {
  let first: Q | undefined

  for (const queue of queues) {
    if (first == null || goesBefore(queue.first, first.first)) {
      first = queue
    }
  }

  return first
}
