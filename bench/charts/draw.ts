import { parse, textMetrics, View } from 'vega'
import { compile } from 'vega-lite'
import { CONFIG } from './theme.ts'
import type { About } from '../parts/results.ts'
import type { TopLevelSpec } from 'vega-lite'

declare module 'vega' {
  /**
   * How vega knows how wide a text is, its types do not have it
   */
  const textMetrics: { width(item: { fontSize?: number }, text: unknown): number }
}

/**
 * How wide a letter is to its height, on average: there is no browser to ask, and
 * vega's own guess leaves room for a third more
 */
const LETTER = 0.62

textMetrics.width = ({ fontSize = 11 }, text) => String(text ?? '').trim().length * fontSize * LETTER

/**
 * What goes on a line at GitHub's width
 */
const TITLE_LENGTH = 75

function wrap (text: string): string[] {
  const lines = ['']

  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`.trim()

    if (line.length > TITLE_LENGTH) {
      lines.push(word)
    } else {
      lines[lines.length - 1] = line
    }
  }

  return lines
}

/**
 * On what machine, when and with which command
 */
function originOf ({ cpu, cpus, command, commit, date, quick, system, versions }: About): string[] {
  return [
    `${cpus} x ${cpu}, ${system}`,
    `Node.js ${versions.node}, libp2p ${versions.libp2p}, commit ${commit ?? 'unknown'}, ${date.slice(0, 10)}`,
    `${command.replaceAll(/\s+--json\s+\S+/g, '').replace(/\s+--$/, '')}${quick ? ': QUICK, NOT TO BE TRUSTED' : ''}`
  ]
}

/**
 * Returns the chart as SVG
 */
export async function draw (title: string, about: About, spec: TopLevelSpec): Promise<string> {
  const { spec: compiled } = compile({ ...spec, title: { text: wrap(title), subtitle: originOf(about) } }, { config: CONFIG })

  return new View(parse(compiled), { renderer: 'none' }).toSVG()
}
