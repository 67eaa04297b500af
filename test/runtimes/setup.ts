import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { install, pack } from '../support/packages.ts'
import { RUNTIMES } from './runtimes.ts'
import type { TestProject } from 'vitest/node'

/**
 * What the programs import besides this package
 */
const PACKAGES = ['libp2p', '@libp2p/identify', '@libp2p/noise', '@libp2p/ping', '@libp2p/tcp', '@libp2p/yamux']

export default async function setup (project: TestProject): Promise<() => void> {
  const { folder } = project.getProvidedContext()
  const { devDependencies } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'))

  await install(join(folder, 'runtimes'), {
    dependencies: { ...RUNTIMES, ...Object.fromEntries(PACKAGES.map(name => [name, devDependencies[name]])) }
  }, await pack(folder))

  return () => { rmSync(folder, { recursive: true }) }
}
