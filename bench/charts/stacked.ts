import { CATEGORIES } from './theme.ts'
import type { Row } from './rows.ts'
import type { TopLevelSpec } from 'vega-lite'

export interface StackedInit {
  rows: Row[]
  x: string

  /**
   * The label that has a bar for each of its values
   */
  y: string

  /**
   * The label that has a part of the bar for each of its values
   */
  part: string
  column: string
  width: number
}

/**
 * Horizontal bars in parts
 */
export function stacked ({ rows, x, y, part, column, width }: StackedInit): TopLevelSpec {
  const parts = [...new Set(rows.map(row => row[part]))]

  return {
    data: { values: rows.map(row => ({ ...row, order: parts.indexOf(row[part]) })) },
    facet: { column: { field: column, title: null, sort: null } },
    spacing: 32,
    spec: {
      width,
      height: { step: 34 },
      mark: { type: 'bar', height: { band: 0.7 } },
      encoding: {
        y: { field: y, type: 'nominal', sort: null, title: null, axis: { ticks: false, domain: false } },
        x: { field: 'median', type: 'quantitative', aggregate: 'sum', title: x },
        color: { field: part, type: 'nominal', title: null, sort: null, scale: { domain: parts, range: CATEGORIES }, legend: { columns: 4 } },
        order: { field: 'order' }
      }
    }
  } as unknown as TopLevelSpec
}
