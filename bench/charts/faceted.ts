import type { Row } from './rows.ts'
import type { TopLevelSpec } from 'vega-lite'

export interface FacetInit {
  rows: Row[]

  /**
   * Labels that have a column or a row of charts for each of their values
   */
  column?: string
  row?: string

  /**
   * Between columns, in pixels
   *
   * @default 56
   */
  gap?: number
}

/**
 * In the order in which the values come
 */
function facetOf (field: string, rows: Row[], header: object): object {
  return { field, title: null, sort: [...new Set(rows.map(row => row[field]))], header: { labelAnchor: 'start', labelPadding: 4, ...header } }
}

/**
 * The same chart for each value of a label, side by side and below each other
 */
export function faceted ({ rows, column, row, gap = 56 }: FacetInit, spec: object): TopLevelSpec {
  const data = { values: rows }

  if (column == null && row == null) {
    return { data, ...spec } as unknown as TopLevelSpec
  }

  return {
    data,
    facet: {
      ...(column == null ? {} : { column: facetOf(column, rows, {}) }),
      ...(row == null ? {} : { row: facetOf(row, rows, { labelAngle: 0, labelOrient: 'top' }) })
    },
    spacing: { column: gap, row: 16 },
    resolve: { scale: { x: 'independent' }, axis: { x: 'independent' } },
    spec
  } as unknown as TopLevelSpec
}
