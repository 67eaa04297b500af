import fc from 'fast-check'

/**
 * As fast-check's own, but an ordinary object, which is printed as one
 */
export function record <T> (model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>
}
