/**
 * `npm run bench` or `npm run bench -- [scenario ...] [--quick | --long] [--json FILE]`, or
 * on two machines `npm run bench -- listen [port]` and
 * `npm run bench -- dial <multiaddr> [--quick] [--json FILE]`
 */
import { parseArgs } from 'node:util'
import { print } from './parts/print.ts'
import { Recorder } from './parts/recorder.ts'
import { about, writeResults } from './parts/results.ts'
import { printNoise, printTargets } from './parts/targets.ts'
import { SCENARIOS } from './scenarios/index.ts'
import { dial } from './two-machines/dial.ts'
import { listen } from './two-machines/listen.ts'
import type { Results, ScenarioResult } from './parts/results.ts'
import type { Scenario } from './parts/scenario.ts'

interface Args {
  /**
   * Measure nothing, but let another machine do so: on this port, or any
   */
  listen?: { port?: string }
  scenarios: Scenario[]
  quick: boolean
  long: boolean
  json?: string
}

function readArgs (): Args {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      long: { type: 'boolean', default: false },
      json: { type: 'string' }
    }
  })
  const [mode, target] = positionals

  if (mode === 'listen') {
    return { scenarios: [], listen: { port: target }, ...values }
  }

  if (mode === 'dial') {
    if (target == null || positionals.length > 2) {
      throw new Error('dial needs one of the addresses that the listener printed')
    }

    return { scenarios: [dial(target)], ...values }
  }

  const scenarios = positionals.map(name => {
    const scenario = SCENARIOS.find(scenario => scenario.name === name)

    if (scenario == null) {
      throw new Error(`There is no scenario '${name}'`)
    }

    return scenario
  })

  return { scenarios: scenarios.length === 0 ? SCENARIOS : scenarios, ...values }
}

function usage (): string {
  return [
    'npm run bench -- [scenario ...] [--quick | --long] [--json FILE]',
    'npm run bench -- listen [port]',
    'npm run bench -- dial <multiaddr> [--quick] [--json FILE]',
    '',
    ...SCENARIOS.map(({ name, about }) => `  ${name.padEnd(19)}${about}`)
  ].join('\n')
}

async function runOne ({ name, about, run }: Scenario, quick: boolean, long: boolean): Promise<ScenarioResult> {
  const start = performance.now()
  const recorder = new Recorder()
  const targets = await run({ quick, long, recorder })
  const seconds = Math.round((performance.now() - start) / 1000)

  print(`It took ${seconds} s`)
  printNoise(targets)

  return { name, about, seconds, targets, series: recorder.series }
}

async function run ({ scenarios, quick, long, json }: Args): Promise<void> {
  const results: Results = { about: about(quick), scenarios: [] }
  const { cpu, cpus, load, system, versions } = results.about

  print(`Node.js ${versions.node} on ${cpus} x ${cpu}, ${system}`)
  print('Medians, and in brackets where the middle half of the samples is')

  if (load > cpus / 4) {
    print(`The machine is busy with something else (load ${load.toFixed(1)}), the figures will be less certain`)
  }

  for (const [i, scenario] of scenarios.entries()) {
    print(`\n[${i + 1}/${scenarios.length}] ${scenario.name}: ${scenario.about}`)
    results.scenarios.push(await runOne(scenario, quick, long))

    // what was measured is not to be lost if a later scenario fails
    if (json != null) {
      writeResults(json, results)
    }
  }

  const targets = results.scenarios.flatMap(({ targets }) => targets)

  if (targets.length > 0) {
    print(`\nTargets, in this ${quick ? 'quick ' : ''}run:`)
    printTargets(targets)
  }
}

let args: Args | undefined

try {
  args = readArgs()
} catch (err: any) {
  process.stderr.write(`${err.message}\n\n${usage()}\n`)
  process.exitCode = 1
}

if (args?.listen != null) {
  await listen(args.listen.port)
} else if (args != null) {
  await run(args)
}
