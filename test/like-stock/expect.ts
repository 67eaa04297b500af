import { expect } from 'vitest'
import type { TransportName } from '../support/nodes.ts'
import type { Side } from './side.ts'
import type { World } from './world.ts'

export interface Case {
  /**
   * Runs a variant of the program on this side, and says what it has seen
   */
  run(side: Side, variant: string): Promise<string>

  /**
   * Called with each side before
   */
  prepare(side: Side): Promise<unknown>

  /**
   * What stock can not do either
   */
  skips(side: Side, variant: string): boolean

  /**
   * What may be seen instead of what stock has seen
   */
  isAsGood(seen: string, side: Side, transport: TransportName): boolean
}

const DEFAULTS: Omit<Case, 'run'> = {
  prepare: async side => side.identify(),
  skips: () => false,
  isAsGood: () => false
}

const BEST = 'arrives, ends'

interface Seen {
  side: Side
  variant: string
  seen: string
}

async function runAll (sides: Side[], variants: string[], { run, prepare, skips }: Case): Promise<Seen[]> {
  await Promise.all(sides.map(prepare))

  const programs = sides.flatMap(side => variants.filter(variant => !skips(side, variant)).map(variant => ({ side, variant })))

  return Promise.all(programs.map(async ({ side, variant }) => ({ side, variant, seen: await run(side, variant) })))
}

/**
 * Every variant of the program, on every side, is to do what the first one does with
 * stock
 */
export async function expectLikeStock (world: World, variants: string[], init: Partial<Case> & Pick<Case, 'run'>): Promise<void> {
  const all: Case = { ...DEFAULTS, ...init }
  const [stock] = await runAll([world.stock], variants.slice(0, 1), all)
  const ours = await runAll(world.ours, variants, all)

  const deviations = ours
    .filter(({ seen, side }) => seen !== stock?.seen && !all.isAsGood(seen, side, world.transport))
    .map(({ side, variant, seen }) => `${variant}, ${side.name}: ${seen}`)

  expect(deviations, `stock: ${stock?.seen}\n${deviations.join('\n')}\n`).to.deep.equal([])
}

/**
 * How often stock is asked again where a side has done what stock had not
 */
const MORE = 10

/**
 * For what stock does not always do: it loses a last message to a TCP connection that is
 * closed while something is on its way back, and to a QUIC connection that is closed
 * before it was acknowledged. So each side is to do what stock did in all rounds of a
 * kind, in all of them. What stock does once in a while only, it is given the time to do.
 */
export async function expectAsOftenAsStock (world: World, rounds: string[], run: Case['run']): Promise<void> {
  const all: Case = { ...DEFAULTS, run, prepare: async () => {} }
  const askStock = async (): Promise<Seen[]> => runAll([world.stock], Array.from({ length: 4 }, () => rounds).flat(), all)
  const stock = await askStock()
  const ours = await runAll(world.ours, rounds, all)

  const deviations = (): string[] => ours.flatMap(({ side, variant, seen }) => {
    const expected = new Set(stock.filter(one => one.variant === variant).map(({ seen }) => seen))

    return expected.size > 1 || expected.has(seen) || !expected.has(BEST) ? [] : [`${variant}, ${side.name}: ${seen}`]
  })

  for (let i = 0; i < MORE && deviations().length > 0; i++) {
    stock.push(...await askStock())
  }

  expect(deviations(), `stock: ${stock.map(({ variant, seen }) => `${variant}: ${seen}`).join('; ')}\n${deviations().join('\n')}\n`).to.deep.equal([])
}

/**
 * For what has no counterpart with stock
 */
export async function expectOf (sides: Side[], init: Partial<Case> & Pick<Case, 'run'> & { isGood(seen: string, side: Side): boolean }, variants = ['']): Promise<void> {
  const deviations = (await runAll(sides, variants, { ...DEFAULTS, ...init }))
    .filter(({ seen, side }) => !init.isGood(seen, side))
    .map(({ side, variant, seen }) => `${variant}, ${side.name}: ${seen}`)

  expect(deviations, `${deviations.join('\n')}\n`).to.deep.equal([])
}
