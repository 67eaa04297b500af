import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { install, pack } from '../support/packages.ts'
import { PROGRAMS } from './programs.ts'
import type { TestProject } from 'vitest/node'

/**
 * Installs the programs. Their install scripts compile what is not used here, or
 * download it from where only some machines can, and the peer dependencies of one of
 * them are all of React Native.
 */
export default async function setup (project: TestProject): Promise<() => void> {
  const { folder } = project.getProvidedContext()
  const start = performance.now()

  await install(join(folder, 'programs'), { dependencies: PROGRAMS }, await pack(folder), '--ignore-scripts', '--legacy-peer-deps')
  process.stdout.write(`installed ${Object.keys(PROGRAMS).length} packages in ${((performance.now() - start) / 1_000).toFixed(1)} s\n`)

  return () => { rmSync(folder, { recursive: true }) }
}
