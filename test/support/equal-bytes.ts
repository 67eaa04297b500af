/**
 * Bytes are equal whatever holds them. What comes from a socket is a Buffer, and for
 * `toEqual` that is no Uint8Array.
 */
import { equals } from 'uint8arrays/equals'
import { expect } from 'vitest'

expect.addEqualityTesters([
  (a, b) => a instanceof Uint8Array && b instanceof Uint8Array ? equals(a, b) : undefined
])
