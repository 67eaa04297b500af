import { queryObjects } from 'node:v8'

type Class = abstract new (...args: any[]) => object

class Counted {}

/**
 * How many objects of these classes there are. Each look is one at the whole heap, so
 * while it is taken they have an ancestor in common.
 */
export function countObjects (...classes: Class[]): number {
  const prototypes = classes.map(({ prototype }) => prototype as object)

  if (prototypes.some(prototype => Object.getPrototypeOf(prototype) !== Object.prototype)) {
    throw new Error('Only for classes that extend nothing')
  }

  prototypes.forEach(prototype => { Object.setPrototypeOf(prototype, Counted.prototype) })

  try {
    // the prototypes themselves descend from it as well
    return queryObjects(Counted, { format: 'count' }) - prototypes.length
  } finally {
    prototypes.forEach(prototype => { Object.setPrototypeOf(prototype, Object.prototype) })
  }
}
