/**
 * Nothing is behind the charts, so each colour has to be told from white and from
 * GitHub's dark background: their contrast to either is 3 or more, that of the text
 * above 4
 */
import type { Config } from 'vega-lite'

const TEXT = '#76797f'
const LINES = '#76797f66'
const FONT = 'system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif'

export const INTERVAL = '#76797f'

const STOCK = '#d4692a'
const OURS = '#2f81f7'
const OURS_TOO = '#7a70d8'
const LIMIT = '#2d9c5a'

/**
 * The same thing has the same colour in all charts
 */
export const COLOURS: Record<string, string> = {
  stock: STOCK,
  dialProtocol: STOCK,
  full: '#a5763a',
  early: OURS_TOO,
  optimistic: OURS,
  newStream: OURS,
  newStreamOn: OURS_TOO,
  resumed: OURS,
  confirmed: OURS_TOO,
  immediate: OURS,
  guarded: OURS,
  intercepted: OURS,
  'an open stream': LIMIT,
  bareMuxer: LIMIT,
  'nothing lost': LIMIT,
  'one packet lost': STOCK,
  dialer: OURS,
  listener: OURS_TOO,
  'stock, plain loop': STOCK,
  'stock, waits for drain': '#a5763a',
  sendBulk: OURS_TOO,
  'sendBulk, receiveBulk': OURS,
  'node:net': LIMIT,
  'node:tls': LIMIT,
  NewStream: '#a5763a'
}

export const CATEGORIES = ['#2f81f7', '#d4692a', '#2d9c5a', '#b86fd6', '#c9453f', '#198f9b', '#a5763a', '#76797f']

export const CONFIG: Config = {
  background: 'transparent',
  font: FONT,
  padding: 8,
  title: { color: TEXT, subtitleColor: TEXT, fontSize: 16, subtitleFontSize: 11, subtitlePadding: 6, subtitleLineHeight: 15, anchor: 'start', offset: 14 },
  axis: { labelColor: TEXT, titleColor: TEXT, gridColor: LINES, domainColor: LINES, tickColor: LINES, labelFontSize: 12, titleFontSize: 12, titleFontWeight: 'normal', labelLimit: 260 },
  header: { labelColor: TEXT, titleColor: TEXT, labelFontSize: 13, labelFontWeight: 'bold' },
  legend: { labelColor: TEXT, titleColor: TEXT, labelFontSize: 12, titleFontSize: 12, orient: 'bottom', labelLimit: 260 },
  view: { stroke: null }
}
