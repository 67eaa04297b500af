import { print } from './print.ts'
import { number } from './table.ts'

/**
 * What a scenario measured, and what it should be
 */
export type Target = { name: string, value: number } & ({ atLeast: number } | { atMost: number })

function describe (target: Target): { isMet: boolean, limit: string } {
  return 'atLeast' in target
    ? { isMet: target.value >= target.atLeast, limit: `at least ${number(target.atLeast, 2)}` }
    : { isMet: target.value <= target.atMost, limit: `at most ${number(target.atMost, 2)}` }
}

export function printTargets (targets: Target[]): void {
  for (const target of targets) {
    const { isMet, limit } = describe(target)

    print(`${isMet ? 'met   ' : 'MISSED'}  ${target.name}: ${number(target.value, 3)}, ${limit}`)
  }
}
