/**
 * `npm run fuzz` lists the fuzzers, `npm run fuzz -- <name> [seed] [cases]` runs one
 * with a random seed unless there is one, and `npm run fuzz -- <name> <seed> --path
 * PATH` plays the case alone that has failed
 */
import { parseArgs } from 'node:util'
import { run } from './run.ts'
import { FUZZERS } from './fuzzers.ts'
import type { Fuzzer } from './fuzzer.ts'
import type { RunOptions } from './run.ts'

const MAX_SEED = 2 ** 31 - 1

function print (text: string): void {
  process.stdout.write(`${text}\n`)
}

function usage (): string {
  return [
    'npm run fuzz -- <name> [seed] [cases]',
    'npm run fuzz -- <name> <seed> --path PATH',
    '',
    ...FUZZERS.map(({ name, about }) => `  ${name.padEnd(10)}${about}`)
  ].join('\n')
}

function readNumber (name: string, text: string, least: number): number {
  const number = Number(text)

  if (!Number.isInteger(number) || number < least || number > MAX_SEED) {
    throw new Error(`${name} must be a whole number from ${least} to ${MAX_SEED}, got '${text}'`)
  }

  return number
}

function readArgs (): { fuzzer: Fuzzer, options: RunOptions } | undefined {
  const { values: { path }, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      path: { type: 'string' }
    }
  })
  const [name, seed, cases, ...more] = positionals

  if (name == null) {
    return
  }

  const fuzzer = FUZZERS.find(fuzzer => fuzzer.name === name)

  if (fuzzer == null) {
    throw new Error(`There is no fuzzer '${name}'`)
  }

  if (more.length > 0) {
    throw new Error(`'${more.join(' ')}' has no meaning`)
  }

  if (path != null && (seed == null || !/^\d+(:\d+)*$/.test(path))) {
    throw new Error('--path needs the seed and the path that were printed')
  }

  return {
    fuzzer,
    options: {
      seed: seed == null ? Math.floor(Math.random() * MAX_SEED) : readNumber('the seed', seed, 0),
      cases: cases == null ? fuzzer.long : readNumber('cases', cases, 1),
      path,
      shrink: true
    }
  }
}

async function fuzz (fuzzer: Fuzzer, options: RunOptions): Promise<void> {
  const start = performance.now()
  const cases = options.path == null ? `${options.cases.toLocaleString('en')} cases` : `the case ${options.path}`

  print(`${fuzzer.name}, ${cases} of seed ${options.seed}: ${fuzzer.about}`)
  await run(fuzzer, options)
  print(`All is well after ${((performance.now() - start) / 1_000).toFixed(1)} s`)
}

try {
  const args = readArgs()

  if (args == null) {
    print(usage())
  } else {
    await fuzz(args.fuzzer, args.options).catch((err: Error) => {
      process.stderr.write(`${err.message}\n`)
      process.exitCode = 1
    })
  }
} catch (err: any) {
  process.stderr.write(`${err.message}\n\n${usage()}\n`)
  process.exitCode = 1
}

// what a case has left hanging is not waited for
process.exit()
