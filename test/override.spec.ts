import { describe, expect, it } from 'vitest'
import { override } from '../src/util/override.ts'
import type { Override } from '../src/util/override.ts'

interface Target {
  method(): string
}

class Counted implements Target {
  method (): string {
    return 'own'
  }
}

function replace (target: Target, by: string): { restore(): void } {
  const replaced: Override<Target> = override<Target>(target, { method: () => `${by} ${replaced.original.method.call(target)}` })

  return replaced
}

describe('a method that several have replaced', () => {
  it.each([
    [[0, 1, 2]],
    [[0, 2, 1]],
    [[1, 0, 2]],
    [[1, 2, 0]],
    [[2, 0, 1]],
    [[2, 1, 0]]
  ])('is the first one again when they have put it back, in the order %j', order => {
    const target = new Counted()
    const own = target.method
    const replaced = ['a', 'b', 'c'].map(by => replace(target, by))

    expect(target.method()).toBe('c b a own')
    order.forEach(i => replaced[i]?.restore())
    expect(target.method).toBe(own)
  })
})
