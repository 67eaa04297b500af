import { faceted } from './faceted.ts'
import { CATEGORIES } from './theme.ts'
import type { FacetInit } from './faceted.ts'
import type { TopLevelSpec } from 'vega-lite'

export interface StackedInit extends FacetInit {
  x: string

  /**
   * The label that has a bar for each of its values
   */
  y: string

  /**
   * The label that has a part of the bar for each of its values
   */
  part: string
  width: number
}

/**
 * Horizontal bars in parts
 */
export function stacked ({ x, y, part, width, ...init }: StackedInit): TopLevelSpec {
  const parts = [...new Set(init.rows.map(row => row[part]))]
  const rows = init.rows.map(row => ({ ...row, order: parts.indexOf(row[part]) }))

  return faceted({ ...init, rows }, {
    width,
    height: { step: 34 },
    mark: { type: 'bar', height: { band: 0.7 } },
    encoding: {
      y: { field: y, type: 'nominal', sort: [...new Set(init.rows.map(row => row[y]))], title: null, axis: { ticks: false, domain: false } },
      x: { field: 'median', type: 'quantitative', title: x },
      color: { field: part, type: 'nominal', title: null, sort: null, scale: { domain: parts, range: CATEGORIES }, legend: { columns: 3 } },
      order: { field: 'order' }
    }
  })
}
