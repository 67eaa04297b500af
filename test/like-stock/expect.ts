import { expect } from 'vitest'
import { compareAgain, compareWithStock, DEFAULTS, runAll } from './compare.ts'
import type { Case } from './compare.ts'
import type { Side } from './side.ts'
import type { World } from './world.ts'

const BEST = 'arrives, ends'

/**
 * Every variant of the program, on every side, is to do what the first one does with
 * stock
 */
export async function expectLikeStock (world: World, variants: string[], init: Partial<Case> & Pick<Case, 'run'>): Promise<void> {
  const { stock, deviations } = await compareWithStock(world, variants, init)

  expect(deviations, `stock: ${stock}\n${deviations.join('\n')}\n`).toEqual([])
}

/**
 * For what stock does not always do: it loses a last message to a TCP connection that is
 * closed while something is on its way back, and to a QUIC connection that is closed
 * before it was acknowledged. So each side is to do what stock did in all rounds of a
 * kind, in all of them.
 */
export async function expectAsOftenAsStock (world: World, rounds: string[], run: Case['run']): Promise<void> {
  const all: Case = { ...DEFAULTS, run, prepare: async () => {} }
  const stock = await runAll([world.stock], Array.from({ length: 4 }, () => rounds).flat(), all)
  const ours = await runAll(world.ours, rounds, all)
  const deviations: string[] = []

  for (const one of ours) {
    const expected = new Set(stock.filter(({ variant }) => variant === one.variant).map(({ seen }) => seen))

    if (one.seen !== BEST && expected.size === 1 && expected.has(BEST)) {
      const deviation = await compareAgain(world, [one.variant, one.variant], one, all)

      if (deviation != null) {
        deviations.push(deviation)
      }
    }
  }

  expect(deviations, `stock: ${stock.map(({ variant, seen }) => `${variant}: ${seen}`).join('; ')}\n${deviations.join('\n')}\n`).toEqual([])
}

/**
 * For what has no counterpart with stock
 */
export async function expectOf (sides: Side[], init: Partial<Case> & Pick<Case, 'run'> & { isGood(seen: string, side: Side): boolean }, variants = ['']): Promise<void> {
  const deviations = (await runAll(sides, variants, { ...DEFAULTS, ...init }))
    .filter(({ seen, side }) => !init.isGood(seen, side))
    .map(({ side, variant, seen }) => `${variant}, ${side.name}: ${seen}`)

  expect(deviations, `${deviations.join('\n')}\n`).toEqual([])
}
