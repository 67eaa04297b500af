import { parse, View } from 'vega'
import { compile } from 'vega-lite'
import { CONFIG } from './theme.ts'
import type { About } from '../parts/results.ts'
import type { TopLevelSpec } from 'vega-lite'

/**
 * On what machine, when and with which command
 */
function originOf ({ cpu, cpus, command, commit, date, quick, system, versions }: About): string[] {
  return [
    `${cpus} x ${cpu}, ${system}, Node.js ${versions.node}, libp2p ${versions.libp2p}`,
    `${date.slice(0, 10)}, commit ${commit ?? 'unknown'}, ${command.replaceAll(/\s+--json\s+\S+/g, '')}${quick ? ': A QUICK RUN, NOT TO BE TRUSTED' : ''}`
  ]
}

/**
 * Returns the chart as SVG
 */
export async function draw (title: string, about: About, spec: TopLevelSpec): Promise<string> {
  const { spec: compiled } = compile({ ...spec, title: { text: title, subtitle: originOf(about) } }, { config: CONFIG })

  return new View(parse(compiled), { renderer: 'none' }).toSVG()
}
