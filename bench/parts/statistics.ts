import { median, quantile, sampleWithReplacement } from 'simple-statistics'

export interface Summary {
  median: number

  /**
   * The bounds of the middle half of the samples - of 95% of them for a ratio
   */
  low: number
  high: number
}

export function summarise (samples: number[]): Summary {
  return {
    median: median(samples),
    low: quantile(samples, 0.25),
    high: quantile(samples, 0.75)
  }
}

/**
 * The ratio of the medians, and what 95% of the ratios are between if the same
 * samples are drawn again and again - if this is wide there were not enough of them
 */
export function ratioOf (samples: number[], base: number[]): Summary {
  const draws = Array.from({ length: 1000 }, () => {
    return median(sampleWithReplacement(samples, samples.length)) / median(sampleWithReplacement(base, base.length))
  })

  return {
    median: median(samples) / median(base),
    low: quantile(draws, 0.025),
    high: quantile(draws, 0.975)
  }
}

/**
 * The median of the ratios of samples that were taken next to each other, and what
 * 95% of those are between if the same pairs are drawn again and again - for figures
 * that follow what else the machine is doing, as the slowest of many do
 */
export function pairedRatioOf (samples: number[], base: number[]): Summary {
  const ratios = samples.map((sample, i) => sample / (base[i] ?? NaN))
  const draws = Array.from({ length: 1000 }, () => median(sampleWithReplacement(ratios, ratios.length)))

  return {
    median: median(ratios),
    low: quantile(draws, 0.025),
    high: quantile(draws, 0.975)
  }
}
