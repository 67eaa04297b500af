/**
 * The file that `--json` writes and charts are made of
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { findPackageJSON } from 'node:module'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import { dirname } from 'node:path'
import type { Series } from './recorder.ts'
import type { Target } from './targets.ts'

/**
 * What the figures depend on
 */
export interface About {
  date: string
  command: string
  quick: boolean

  /**
   * With a `+` where there were changes, and undefined outside of git
   */
  commit?: string
  cpu: string
  cpus: number
  memoryGiB: number
  system: string

  /**
   * How many processes wanted to run in the minute before
   */
  load: number
  versions: Record<string, string>
}

export interface ScenarioResult {
  name: string
  about: string
  seconds: number
  targets: Target[]
  series: Series[]
}

export interface Results {
  about: About
  scenarios: ScenarioResult[]
}

const PACKAGES = ['libp2p', '@libp2p/yamux', '@libp2p/noise', '@libp2p/tcp', '@libp2p/websockets', '@chainsafe/libp2p-quic', '@libp2p/identify', '@libp2p/kad-dht']

function versionOf (name: string): string {
  return JSON.parse(readFileSync(findPackageJSON(name, import.meta.url) ?? '', 'utf8')).version
}

function git (...args: string[]): string {
  return execFileSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}

function commit (): string | undefined {
  try {
    const hasChanges = git('status', '--porcelain', '--untracked-files=no') !== ''

    return `${git('rev-parse', '--short=12', 'HEAD')}${hasChanges ? '+' : ''}`
  } catch {
    return undefined
  }
}

export function about (quick: boolean): About {
  return {
    date: new Date().toISOString(),
    command: ['npm run bench --', ...process.argv.slice(2)].join(' '),
    quick,
    commit: commit(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()} ${process.arch}`,
    load: loadavg()[0] ?? 0,
    versions: Object.fromEntries([
      ['node', process.versions.node],
      ['libp2p-stream-opener', versionOf('..')],
      ...PACKAGES.map(name => [name, versionOf(name)])
    ])
  }
}

/**
 * Four digits are more than any of it is worth, and a line for each series is what
 * a diff can show
 */
function stringify ({ scenarios, ...rest }: Results): string {
  const list = (items: unknown[]): string => `[\n${items.map(item => JSON.stringify(item, (_, value) => typeof value === 'number' ? Number(value.toPrecision(4)) : value)).join(',\n')}\n]`

  const texts = scenarios.map(({ series, targets, ...scenario }) => {
    return `${JSON.stringify(scenario).slice(0, -1)},"targets":${list(targets)},"series":${list(series)}}`
  })

  return `${JSON.stringify(rest).slice(0, -1)},"scenarios":[\n${texts.join(',\n')}\n]}\n`
}

export function writeResults (file: string, results: Results): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, stringify(results))
}

export function readResults (file: string): Results {
  return JSON.parse(readFileSync(file, 'utf8'))
}
