/**
 * `npm run bench` or `npm run bench -- [scenario ...] [--quick]`
 */
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { print } from './parts/print.ts'
import { printTargets } from './parts/targets.ts'
import { burst } from './scenarios/burst.ts'
import { firstStream } from './scenarios/first-stream.ts'
import { growth } from './scenarios/growth.ts'
import { kadDht } from './scenarios/kad-dht.ts'
import { roundTrips } from './scenarios/round-trips.ts'
import { sequential } from './scenarios/sequential.ts'
import { stalledNeighbour } from './scenarios/stalled-neighbour.ts'
import type { Scenario } from './parts/scenario.ts'
import type { Target } from './parts/targets.ts'

const SCENARIOS: Scenario[] = [roundTrips, firstStream, sequential, burst, stalledNeighbour, growth, kadDht]

interface Args {
  scenarios: Scenario[]
  quick: boolean
}

function readArgs (): Args {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false }
    }
  })
  const scenarios = positionals.map(name => {
    const scenario = SCENARIOS.find(scenario => scenario.name === name)

    if (scenario == null) {
      throw new Error(`There is no scenario '${name}'`)
    }

    return scenario
  })

  return { scenarios: scenarios.length === 0 ? SCENARIOS : scenarios, quick: values.quick }
}

function usage (): string {
  return [
    'npm run bench -- [scenario ...] [--quick]',
    '',
    ...SCENARIOS.map(({ name, about }) => `  ${name.padEnd(19)}${about}`)
  ].join('\n')
}

async function run ({ scenarios, quick }: Args): Promise<void> {
  const targets: Target[] = []

  print(`Node.js ${process.version} on ${cpus().length} x ${cpus()[0]?.model}`)
  print('Medians, and in brackets where the middle half of the samples is')

  for (const scenario of scenarios) {
    print(`\n${scenario.name}: ${scenario.about}`)
    targets.push(...await scenario.run({ quick }))
  }

  print(`\nTargets, in this ${quick ? 'quick ' : ''}run:`)
  printTargets(targets)
}

let args: Args | undefined

try {
  args = readArgs()
} catch (err: any) {
  process.stderr.write(`${err.message}\n\n${usage()}\n`)
  process.exitCode = 1
}

if (args != null) {
  await run(args)
}
