import { COLOURS } from './theme.ts'
import type { Row } from './rows.ts'
import type { TopLevelSpec } from 'vega-lite'

export interface LinesInit {
  rows: Row[]

  /**
   * The label that the horizontal axis is about
   */
  x: string
  xTitle: string
  isLog?: boolean

  /**
   * What is drawn, with the unit
   */
  y: string

  /**
   * From where the vertical axis goes, and to where at least
   */
  from?: number
  to?: number

  /**
   * The label that has a line for each of its values
   */
  colour?: string

  /**
   * The label that has a chart for each of its values
   */
  column?: string

  /**
   * Of each chart, in pixels
   */
  width: number
}

/**
 * Medians, with the middle half of the samples
 */
export function lines ({ rows, x, xTitle, isLog = false, y, from = 0, to = 0, colour, column, width }: LinesInit): TopLevelSpec {
  const names = colour == null ? [] : [...new Set(rows.map(row => row[colour]))]
  const values = [...new Set(rows.map(row => row[x]))]
  const highest = Math.max(to, ...rows.map(({ high }) => high))
  const height = { type: 'quantitative', title: y, scale: { domain: [from, highest], nice: true } }
  const hasFew = values.length < 10

  return {
    data: { values: rows },
    facet: column == null ? { row: { value: '' }, field: 'none', header: null } : { column: { field: column, title: null, sort: null } },
    spacing: 48,
    spec: {
      width,
      height: 220,
      encoding: {
        x: { field: x, type: 'quantitative', title: xTitle, scale: { type: isLog ? 'log' : 'linear', nice: false, zero: false }, axis: { ...(hasFew ? { values } : {}), format: ',', grid: false } },
        color: colour == null
          ? { value: COLOURS.heap }
          : { field: colour, type: 'nominal', title: null, scale: { domain: names, range: names.map(name => COLOURS[String(name)]) } }
      },
      layer: [
        { mark: { type: 'line', strokeWidth: 2, point: hasFew ? { size: 50, filled: true } : false }, encoding: { y: { field: 'median', ...height } } },
        { mark: { type: 'rule', strokeWidth: 2, opacity: 0.6 }, encoding: { y: { field: 'low', ...height }, y2: { field: 'high' } } }
      ]
    }
  } as unknown as TopLevelSpec
}
