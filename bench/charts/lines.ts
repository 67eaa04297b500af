import { faceted } from './faceted.ts'
import { COLOURS } from './theme.ts'
import type { FacetInit } from './faceted.ts'
import type { TopLevelSpec } from 'vega-lite'

export interface LinesInit extends FacetInit {
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
   * To where the vertical axis goes at least
   */
  to?: number

  /**
   * The label that has a line for each of its values
   */
  colour: string

  /**
   * Of each chart, in pixels
   */
  width: number
}

/**
 * With more values than this there are no points
 */
const FEW = 10

/**
 * Medians, with the middle half of the samples
 */
export function lines ({ x, xTitle, isLog = false, y, to = 0, colour, width, ...init }: LinesInit): TopLevelSpec {
  const { rows } = init
  const names = [...new Set(rows.map(row => String(row[colour])))]
  const values = [...new Set(rows.map(row => row[x]))]
  const hasFew = values.length < FEW
  const up = { type: 'quantitative', title: y, scale: { domain: [0, Math.max(to, ...rows.map(({ high }) => high))], nice: true } }

  return faceted(init, {
    width,
    height: 220,
    encoding: {
      x: {
        field: x,
        type: 'quantitative',
        title: xTitle,
        scale: isLog ? { type: 'log', nice: false } : { zero: false, nice: false },
        axis: { ...(hasFew ? { values } : {}), format: ',d', grid: false, labelOverlap: !hasFew }
      },
      color: { field: colour, type: 'nominal', title: null, scale: { domain: names, range: names.map(name => COLOURS[name]) } }
    },
    layer: [
      { mark: { type: 'line', strokeWidth: 2, point: hasFew ? { size: 50, filled: true } : false }, encoding: { y: { field: 'median', ...up } } },
      { mark: { type: 'rule', strokeWidth: 2, opacity: 0.6 }, encoding: { y: { field: 'low', ...up }, y2: { field: 'high' } } }
    ]
  })
}
