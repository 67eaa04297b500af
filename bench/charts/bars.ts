import { number } from '../parts/table.ts'
import { faceted } from './faceted.ts'
import { COLOURS, INTERVAL } from './theme.ts'
import type { FacetInit } from './faceted.ts'
import type { Row } from './rows.ts'
import type { TopLevelSpec } from 'vega-lite'

export interface BarsInit extends FacetInit {
  /**
   * What the bars stand for, with the unit
   */
  x: string

  /**
   * The label that has a bar for each of its values, and in which order
   */
  y: string

  /**
   * The label that says which colour a bar has
   *
   * @default y
   */
  colour?: string

  /**
   * Where the scale ends, the same for all charts
   *
   * @default a little behind the longest bar of each
   */
  to?: number

  /**
   * Of each chart, in pixels
   */
  width: number

  /**
   * Digits behind the point
   */
  digits?: number

  /**
   * Besides the middle half of the samples, show the 99th percentile, and its number
   * behind that of the median
   */
  p99?: boolean
}

/**
 * Horizontal bars with the middle half of the samples, and the median behind them
 */
export function bars ({ x, y, colour = y, to, width, digits = 0, p99 = false, ...init }: BarsInit): TopLevelSpec {
  const valuesOf = (label: string): string[] => [...new Set(init.rows.map(row => String(row[label])))]
  const colours = valuesOf(colour)
  const at = (field: string): object => ({ field, type: 'quantitative', title: x, scale: { zero: true, nice: false, ...(to == null ? {} : { domain: [0, to] }) }, axis: { tickCount: 4 } })

  const label = (row: Row): string => (p99 ? [row.median, row.p99] : [row.median]).map(value => number(value, digits)).join(', ')
  const rows = init.rows.map(row => ({ ...row, label: label(row) }))

  return faceted({ ...init, rows }, {
    width,
    height: { step: 20 },
    encoding: { y: { field: y, type: 'nominal', sort: valuesOf(y), title: null, axis: { ticks: false, domain: false } } },
    layer: [
      {
        mark: { type: 'bar', height: { band: 0.7 } },
        encoding: {
          x: at('median'),
          color: { field: colour, type: 'nominal', legend: null, scale: { domain: colours, range: colours.map(name => COLOURS[name] ?? COLOURS.newStream) } }
        }
      },
      { mark: { type: 'rule', color: INTERVAL, strokeWidth: 2 }, encoding: { x: at('low'), x2: { field: 'high' } } },
      ...(p99 ? [{ mark: { type: 'tick', color: INTERVAL, thickness: 2, height: 12 }, encoding: { x: at('p99') } }] : []),
      {
        mark: { type: 'text', align: 'left', dx: 6, fontSize: 12, color: INTERVAL },
        encoding: { x: at(p99 ? 'p99' : 'high'), text: { field: 'label' } }
      }
    ]
  })
}
