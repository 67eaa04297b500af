import { linearRegression, median, quantile, sampleWithReplacement } from 'simple-statistics'
import { randomFrom } from '../../test/support/random.ts'

export interface Summary {
  median: number

  /**
   * The bounds of the middle half of the samples - of 95% of the draws for what is
   * an `Estimate`
   */
  low: number
  high: number
}

/**
 * A figure that was worked out of samples, and what 95% of the figures are between
 * if the same samples are drawn again and again (the bootstrap)
 */
export type Estimate = Summary

const DRAWS = 1000

export function summarise (samples: number[]): Summary {
  return {
    median: median(samples),
    low: quantile(samples, 0.25),
    high: quantile(samples, 0.75)
  }
}

function estimate (figure: number, draw: (random: () => number) => number): Estimate {
  const random = randomFrom(1)
  const draws = Array.from({ length: DRAWS }, () => draw(random))

  return {
    median: figure,
    low: quantile(draws, 0.025),
    high: quantile(draws, 0.975)
  }
}

/**
 * The ratio of the medians
 */
export function ratioOf (samples: number[], base: number[]): Estimate {
  return estimate(median(samples) / median(base), random => {
    return median(sampleWithReplacement(samples, samples.length, random)) / median(sampleWithReplacement(base, base.length, random))
  })
}

export function medianOf (samples: number[]): Estimate {
  return estimate(median(samples), random => median(sampleWithReplacement(samples, samples.length, random)))
}

/**
 * The median of the ratios of samples that were taken next to each other - for
 * figures that follow what else the machine is doing
 */
export function pairedRatioOf (samples: number[], base: number[]): Estimate {
  return medianOf(samples.map((sample, i) => sample / (base[i] ?? NaN)))
}

/**
 * By how much the samples grow from one to the next
 */
export function slopeOf (samples: number[]): Estimate {
  const points = samples.map((sample, i) => [i, sample])

  return estimate(linearRegression(points).m, random => linearRegression(sampleWithReplacement(points, points.length, random)).m)
}
