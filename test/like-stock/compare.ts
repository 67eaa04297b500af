/**
 * Programs are compared with what they do with stock
 */
import type { TransportName } from '../support/nodes.ts'
import type { Side } from './side.ts'
import type { World } from './world.ts'

export interface Case {
  /**
   * Runs a variant of the program on this side, and says what it has seen
   */
  run(side: Side, variant: string): Promise<string>

  /**
   * Called with the sides before, and before it is run again
   */
  prepare(sides: Side[]): Promise<unknown>

  /**
   * How many are run again after each `prepare`
   */
  atATime: number

  /**
   * What stock can not do either
   */
  skips(side: Side, variant: string): boolean

  /**
   * What may be seen instead of what stock has seen
   */
  isAsGood(seen: string, side: Side, transport: TransportName): boolean
}

export const DEFAULTS: Omit<Case, 'run'> = {
  prepare: async sides => Promise.all(sides.map(async side => side.identify())),
  atATime: 10,
  skips: () => false,
  isAsGood: () => false
}

export interface Seen {
  side: Side
  variant: string
  seen: string
}

export async function runAll (sides: Side[], variants: string[], { run, prepare, skips }: Case): Promise<Seen[]> {
  await prepare(sides)

  const programs = sides.flatMap(side => variants.filter(variant => !skips(side, variant)).map(variant => ({ side, variant })))

  return Promise.all(programs.map(async ({ side, variant }) => ({ side, variant, seen: await run(side, variant) })))
}

/**
 * How often a program is run again where a side did not do what stock did
 */
const AGAIN = [50, 200]

async function runAgain (side: Side, variant: string, { run, prepare, atATime }: Case, again: number): Promise<string[]> {
  const seen: string[] = []

  while (seen.length < again) {
    await prepare([side])
    seen.push(...await Promise.all(Array.from({ length: atATime }, async () => run(side, variant))))
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
export async function compareAgain ({ stock, transport }: World, variants: [stock: string, ours: string], { side, seen }: Seen, all: Case): Promise<string | undefined> {
  let deviation: string | undefined

  for (const again of AGAIN) {
    const ofStock = await runAgain(stock, variants[0], all, again)
    const ofOurs = await runAgain(side, variants[1], all, again)
    const expected = mostFrequent(ofStock)
    const unlike = ofStock.filter(one => one !== expected)
    const unlikeOurs = ofOurs.filter(one => one !== expected && !all.isAsGood(one, side, transport))

    if (unlikeOurs.length <= 2 * unlike.length + 3) {
      return
    }

    deviation = `${variants[1]}, ${side.name}: ${seen} - of ${again} times ${unlikeOurs.length} were not '${expected}' but mostly '${mostFrequent(unlikeOurs)}', with stock ${unlike.length}`
  }

  return deviation
}

/**
 * What is different where every variant of the program, on every side, is to do what the
 * first one does with stock
 */
export async function compareWithStock (world: World, variants: string[], init: Partial<Case> & Pick<Case, 'run'>): Promise<{ stock?: string, deviations: string[] }> {
  // what has a state of its own to begin with is not in it any more after the first
  const all: Case = { ...DEFAULTS, atATime: init.prepare == null ? DEFAULTS.atATime : 1, ...init }
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

  return { stock: stock?.seen, deviations }
}
