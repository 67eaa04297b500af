import { summarise } from './statistics.ts'
import type { Summary } from './statistics.ts'

/**
 * What tells samples from others of the same figure, like `{ transport: 'tcp' }`
 */
export type Labels = Record<string, string | number>

/**
 * The raw samples of one figure, in the order in which they were taken
 */
export interface Series {
  figure: string
  unit: string
  labels: Labels
  samples: number[]
}

/**
 * Keeps what a scenario measures, for the file that the charts are made of
 */
export class Recorder {
  readonly series: Series[] = []

  /**
   * Returns what the tables say of the samples
   */
  add (figure: string, unit: string, labels: Labels, samples: number[]): Summary {
    this.series.push({ figure, unit, labels, samples })

    return summarise(samples)
  }
}
