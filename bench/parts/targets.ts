import { print } from './print.ts'
import { number } from './table.ts'
import type { Estimate } from './statistics.ts'

type Limit = { atLeast: number } | { atMost: number }

/**
 * What a scenario measured, and what it should be
 */
export type Target = { name: string, value: number | Estimate } & Limit

/**
 * It is unclear when the limit is within the interval of the value: then the machine
 * was too noisy to tell, or the value is too near
 */
export type Verdict = 'met' | 'MISSED' | 'unclear'

function estimateOf ({ value }: Target): Estimate {
  return typeof value === 'number' ? { median: value, low: value, high: value } : value
}

export function verdictOf (target: Target): Verdict {
  const { low, high } = estimateOf(target)
  const [isMet, isMissed] = 'atLeast' in target
    ? [low >= target.atLeast, high < target.atLeast]
    : [high <= target.atMost, low > target.atMost]

  if (isMet) {
    return 'met'
  }

  return isMissed ? 'MISSED' : 'unclear'
}

function limitOf (target: Target): number {
  return 'atLeast' in target ? target.atLeast : target.atMost
}

/**
 * Whether the machine was doing too much else, or there were too few samples: the
 * interval is wider than a fifth of the value, or of the limit where that is more
 */
function isNoisy (target: Target): boolean {
  const { median, low, high } = estimateOf(target)

  return high - low > 0.2 * Math.max(Math.abs(median), limitOf(target))
}

function describe (target: Target): string {
  const { median, low, high } = estimateOf(target)
  const limit = `${'atLeast' in target ? 'at least' : 'at most'} ${number(limitOf(target), 2)}`
  const interval = low === high ? '' : ` (95%: ${number(low, 3)} to ${number(high, 3)})`

  return `${target.name}: ${number(median, 3)}${interval}, ${limit}`
}

export function printTargets (targets: Target[]): void {
  for (const target of targets) {
    print(`${verdictOf(target).padEnd(7)}  ${describe(target)}`)
  }
}

/**
 * Says so if the machine was too noisy to tell, or for how much
 */
export function printNoise (targets: Target[]): void {
  const unclear = targets.filter(target => verdictOf(target) === 'unclear')
  const noisy = targets.filter(isNoisy)

  if (noisy.length > 0) {
    print(`This machine was noisy: of ${noisy.length} of ${targets.length} figures the interval is wider than a fifth`)
  }

  if (unclear.length > 0) {
    print(`It is too close to tell, or was too noisy, whether ${unclear.length} of ${targets.length} targets are met`)
  }
}
