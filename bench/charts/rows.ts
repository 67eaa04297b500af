import { quantile } from 'simple-statistics'
import { summarise } from '../parts/statistics.ts'
import type { Labels } from '../parts/recorder.ts'
import type { Summary } from '../parts/statistics.ts'
import type { ScenarioResult } from '../parts/results.ts'

/**
 * What a chart draws: a series with its labels
 */
export type Row = Labels & Summary & { p99: number }

export interface RowsInit {
  figure: string

  /**
   * Which series, by their labels
   */
  where?(labels: Labels): boolean

  /**
   * What the samples are to be multiplied by
   */
  scale?(labels: Labels): number
}

export function rowsOf ({ series }: ScenarioResult, { figure, where = () => true, scale = () => 1 }: RowsInit): Row[] {
  return series.filter(series => series.figure === figure && where(series.labels)).map(({ labels, samples }) => {
    const scaled = samples.map(sample => sample * scale(labels))

    return { ...labels, ...summarise(scaled), p99: quantile(scaled, 0.99) } as Row
  })
}
