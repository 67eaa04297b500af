/**
 * Packages of npm in a folder of their own, as an application has them
 */
import { execFile } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

export type Dependencies = Record<string, string>

export async function npm (cwd: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('npm', args, { cwd })

  return stdout
}

/**
 * Packs this package, returns the name of the file
 */
export async function pack (folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true })

  const [{ filename }] = JSON.parse(await npm(join(import.meta.dirname, '../..'), 'pack', '--json', '--pack-destination', folder, '--loglevel=error'))

  return join(folder, filename)
}

/**
 * Installs the packages, and the packed one
 */
export async function install (folder: string, manifest: { dependencies: Dependencies, overrides?: Dependencies }, tarball: string, ...args: string[]): Promise<void> {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({
    ...manifest,
    private: true,
    type: 'module',
    dependencies: {
      ...manifest.dependencies,
      'libp2p-stream-opener': `file:${tarball}`
    }
  }))

  await npm(folder, 'install', '--install-links', '--no-audit', '--no-fund', '--loglevel=error', ...args)
}
