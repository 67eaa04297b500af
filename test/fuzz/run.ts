import fc from 'fast-check'
import { messageOf } from './promises.ts'
import { watchUncaught } from './uncaught.ts'
import type { Fuzzer, Session } from './fuzzer.ts'

/**
 * For how long a case that has failed is made smaller, in ms. Those that hang take
 * seconds each.
 */
const SHRINK_TIME = 60_000

export interface RunOptions {
  seed: number
  cases: number

  /**
   * Where fast-check has found a failure with this seed: play that case alone
   */
  path?: string

  /**
   * Whether a case that has failed is made smaller
   */
  shrink: boolean
}

/**
 * Plays the cases one after the other, and throws an error that says how to repeat
 * the one that has failed
 */
export async function run (fuzzer: Fuzzer, { seed, cases, path, shrink }: RunOptions): Promise<void> {
  const uncaught = watchUncaught()
  let failedAt = Infinity
  let session: Session<unknown> | undefined

  const property = fc.asyncProperty(fuzzer.cases, async input => {
    if (performance.now() - failedAt > SHRINK_TIME) {
      return
    }

    session ??= await fuzzer.start()

    try {
      await session.play(input)
      uncaught.throwAny()
    } catch (err) {
      failedAt = Math.min(failedAt, performance.now())

      // nothing that the case has left may be taken for a fault of the next one
      await session.stop().catch(() => {})
      session = undefined
      throw err
    }
  })

  try {
    // without a path there are so many, with one it is a single one and smaller ones
    const details = await fc.check(property, { seed, path, numRuns: path == null ? cases : 1, endOnFailure: !shrink })

    if (details.failed) {
      throw new Error([
        `${fuzzer.name}: ${messageOf(details.errorInstance)}`,
        `The case: ${fc.stringify(details.counterexample?.[0])}`,
        `Repeat it with: npm run fuzz -- ${fuzzer.name} ${seed} --path ${details.counterexamplePath}`
      ].join('\n'), { cause: details.errorInstance })
    }

    await session?.stop().then(uncaught.throwAny).catch((err: unknown) => {
      throw new Error([
        `${fuzzer.name}: after all cases, ${messageOf(err)}`,
        `Repeat it with: npm run fuzz -- ${fuzzer.name} ${seed} ${cases}`
      ].join('\n'), { cause: err })
    })
  } finally {
    uncaught.stop()
  }
}
