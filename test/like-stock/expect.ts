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
 * How often a program is run again where a side did not do what stock did, and how often
 * at a time
 */
const AGAIN = [50, 200]
const AT_A_TIME = 10

async function runAgain (side: Side, variant: string, run: Case['run'], again: number): Promise<string[]> {
  const seen: string[] = []

  while (seen.length < again) {
    seen.push(...await Promise.all(Array.from({ length: AT_A_TIME }, async () => run(side, variant))))
  }

  return seen
}

function mostFrequent (seen: string[]): string {
  const counts = new Map<string, number>()

  for (const one of seen) {
    counts.set(one, (counts.get(one) ?? 0) + 1)
  }

  return [...counts].reduce((most, one) => one[1] > most[1] ? one : most, ['', 0])[0]
}

/**
 * Stock has races of its own, so one difference may be chance: both do it again, often
 * enough to tell one in ten from none. What both lose now and then, on a busy machine, may
 * still look like a difference, so they are compared once more, where it is told from
 * chance. Returns what is different then.
 */
async function compareAgain ({ stock, transport }: World, variants: [stock: string, ours: string], { side, seen }: Seen, { run, isAsGood }: Case): Promise<string | undefined> {
  let deviation: string | undefined

  for (const again of AGAIN) {
    const ofStock = await runAgain(stock, variants[0], run, again)
    const ofOurs = await runAgain(side, variants[1], run, again)
    const expected = mostFrequent(ofStock)
    const unlike = ofStock.filter(one => one !== expected)
    const unlikeOurs = ofOurs.filter(one => one !== expected && !isAsGood(one, side, transport))

    if (unlikeOurs.length <= 2 * unlike.length + 3) {
      return
    }

    deviation = `${variants[1]}, ${side.name}: ${seen} - of ${again} times ${unlikeOurs.length} were not '${expected}' but mostly '${mostFrequent(unlikeOurs)}', with stock ${unlike.length}`
  }

  return deviation
}

/**
 * Every variant of the program, on every side, is to do what the first one does with
 * stock
 */
export async function expectLikeStock (world: World, variants: string[], init: Partial<Case> & Pick<Case, 'run'>): Promise<void> {
  const all: Case = { ...DEFAULTS, ...init }
  const [stock] = await runAll([world.stock], variants.slice(0, 1), all)
  const ours = await runAll(world.ours, variants, all)
  const deviations: string[] = []

  for (const one of ours) {
    if (one.seen !== stock?.seen && !all.isAsGood(one.seen, one.side, world.transport)) {
      const deviation = await compareAgain(world, [variants[0] ?? '', one.variant], one, all)

      if (deviation != null) {
        deviations.push(deviation)
      }
    }
  }

  expect(deviations, `stock: ${stock?.seen}\n${deviations.join('\n')}\n`).toEqual([])
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
