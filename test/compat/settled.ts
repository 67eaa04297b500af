import { turns } from '../support/wait.ts'

/**
 * What came of a promise by now, and 100 turns of the event loop
 */
export async function outcomeOf (promise: Promise<unknown>): Promise<unknown> {
  let outcome: unknown = 'nothing'

  promise.then(value => { outcome = value }, err => { outcome = err })

  await turns(100)

  return outcome
}
