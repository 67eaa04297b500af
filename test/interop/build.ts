/**
 * Builds the peers that are not written in JavaScript. Where a toolchain is missing
 * its peer is left out, with CI=true that is an error.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { BUILD, PEERS } from '../support/peers.ts'
import type { PeerName } from '../support/peers.ts'

interface Build {
  peer: PeerName

  /**
   * Prints its version where it is there
   */
  toolchain: [command: string, ...args: string[]]
  get: string
  steps: Array<[command: string, ...args: string[]]>
}

const venv = join(BUILD, 'venv')

const BUILDS: Build[] = [{
  peer: 'go',
  toolchain: ['go', 'version'],
  get: 'Go, https://go.dev/dl',
  steps: [['go', 'build', '-o', join(BUILD, 'go-peer'), '.']]
}, {
  peer: 'python',
  toolchain: ['python3', '-c', 'import sys, venv, ensurepip; assert sys.version_info >= (3, 10); print(sys.version)'],
  get: 'Python 3.10 or later with venv, https://www.python.org/downloads',
  steps: [
    ['python3', '-m', 'venv', venv],
    [join(venv, 'bin/pip'), 'install', '--quiet', '--disable-pip-version-check', '--requirement', 'requirements.txt']
  ]
}, {
  peer: 'rust',
  toolchain: ['cargo', '--version'],
  get: 'Rust, https://rustup.rs',
  steps: [['cargo', 'build', '--release', '--locked', '--target-dir', join(BUILD, 'rust')]]
}]

function print (text: string): void {
  process.stdout.write(`${text}\n`)
}

function succeeds ([command, ...args]: Build['toolchain']): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}

/**
 * Returns whether the peer is there afterwards
 */
function build ({ peer, toolchain, get, steps }: Build): boolean {
  if (!succeeds(toolchain)) {
    // nothing old is to be tested instead
    rmSync(PEERS[peer][0], { force: true })
    print(`\n*** THE ${peer} PEER IS NOT BUILT, NOTHING IS TESTED AGAINST IT: \`${toolchain[0]}\` does not work here. Get ${get}\n`)

    return false
  }

  const start = performance.now()

  for (const [command, ...args] of steps) {
    const { status } = spawnSync(command, args, { cwd: join(import.meta.dirname, peer), stdio: 'inherit' })

    if (status !== 0) {
      throw new Error(`The ${peer} peer could not be built: ${command} ${args.join(' ')}`)
    }
  }

  print(`built the ${peer} peer in ${Math.round((performance.now() - start) / 1000)} s`)

  return true
}

mkdirSync(BUILD, { recursive: true })

const missing = BUILDS.filter(init => !build(init))

if (missing.length > 0 && process.env.CI === 'true') {
  print('With CI=true every peer has to be there.')
  process.exitCode = 1
}
