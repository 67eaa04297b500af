import { COLOURS, INTERVAL } from './theme.ts'
import type { Row } from './rows.ts'
import type { TopLevelSpec } from 'vega-lite'

export interface BarsInit {
  rows: Row[]

  /**
   * What the bars stand for, with the unit
   */
  x: string

  /**
   * The label that has a bar for each of its values, and in which order
   */
  y: string

  /**
   * Labels that have a column or a row of charts for each of their values
   */
  column?: string
  row?: string

  /**
   * Of each chart, in pixels
   */
  width: number

  /**
   * Digits behind the point
   */
  digits?: number

  /**
   * Besides the middle half of the samples, show the 99th percentile
   */
  p99?: boolean
}

function facet (field: string | undefined, isColumn: boolean): object | undefined {
  return field == null ? undefined : { field, title: null, sort: null, header: isColumn ? { labelPadding: 8 } : { labelAngle: 0, labelAlign: 'left', labelOrient: 'top', labelAnchor: 'start', labelPadding: 4 } }
}

/**
 * Horizontal bars with the middle half of the samples, and the median behind them
 */
export function bars ({ rows, x, y, column, row, width, digits = 0, p99 = false }: BarsInit): TopLevelSpec {
  const names = [...new Set(rows.map(row => row[y]))]
  const position = { field: y, type: 'nominal', sort: names, title: null, axis: { ticks: false, domain: false } }
  const at = (field: string): object => ({ field, type: 'quantitative', title: x, scale: { zero: true, nice: false }, axis: { tickCount: 4 } })

  return {
    data: { values: rows },
    facet: { ...(column == null ? {} : { column: facet(column, true) }), ...(row == null ? {} : { row: facet(row, false) }) },
    spacing: { column: 64, row: 16 },
    resolve: { scale: { x: 'independent' }, axis: { x: 'independent' } },
    spec: {
      width,
      height: { step: 20 },
      encoding: { y: position },
      layer: [
        {
          mark: { type: 'bar', height: { band: 0.7 } },
          encoding: {
            x: at('median'),
            color: { field: y, type: 'nominal', legend: null, scale: { domain: names, range: names.map(name => COLOURS[String(name)] ?? COLOURS.newStream) } }
          }
        },
        { mark: { type: 'rule', color: INTERVAL, strokeWidth: 2 }, encoding: { x: at('low'), x2: { field: 'high' } } },
        ...(p99 ? [{ mark: { type: 'tick', color: INTERVAL, thickness: 2, height: 12 }, encoding: { x: at('p99') } }] : []),
        {
          mark: { type: 'text', align: 'left', dx: 6, fontSize: 12, color: INTERVAL },
          encoding: { x: at(p99 ? 'p99' : 'high'), text: { field: 'median', type: 'quantitative', format: `,.${digits}f` } }
        }
      ]
    }
  } as unknown as TopLevelSpec
}
