import { expect } from 'vitest'
import { RESETS } from './answers.ts'
import type { Side } from './side.ts'
import type { World } from './world.ts'

/**
 * Says what a program does on a side when it is run with one of its variants
 */
export type Run = (side: Side, variant: string) => Promise<string>

/**
 * What is done with each side before
 */
export type Prepare = (side: Side) => Promise<void>

const identify: Prepare = async side => side.identify()

async function runAll (sides: Side[], variants: string[], run: Run, prepare: Prepare): Promise<Record<string, string>> {
  await Promise.all(sides.map(prepare))

  const seen = await Promise.all(sides.flatMap(side => variants.map(async variant => [`${variant}, ${side.name}`, await run(side, variant)])))

  return Object.fromEntries(seen)
}

/**
 * A reset is never a success, if it is not one with stock. Over QUIC, where it is one,
 * it depends on the moment what stock sees, which may even hang.
 */
function isAsGood (answer: string, transport: string, seen: string): boolean {
  return RESETS.includes(answer) && (seen.includes('fails with') || (transport === 'quic' && seen.endsWith('ends')))
}

/**
 * Every variant of the program, on every side of ours, is to do what the first one
 * does with stock
 */
export async function expectLikeStock (world: World, answer: string, variants: string[], run: Run, prepare = identify): Promise<void> {
  const [expected = ''] = Object.values(await runAll([world.stock], variants.slice(0, 1), run, prepare))
  const seen = await runAll(world.ours, variants, run, prepare)

  expect(seen).to.deep.equal(Object.fromEntries(Object.entries(seen).map(([name, did]) => {
    return [name, isAsGood(answer, world.transport, did) ? did : expected]
  })))
}
