import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pack } from '../support/packages.ts'
import { installTree, TREES } from './trees.ts'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /**
     * Where the trees are
     */
    folder: string

    /**
     * Where the tree of the project is
     */
    tree: string
  }
}

/**
 * Installs the trees of all projects that are to run, where that of another one has
 * not done so
 */
export default async function setup (project: TestProject): Promise<(() => void) | undefined> {
  const { folder } = project.getProvidedContext()

  if (existsSync(folder)) {
    return
  }

  const names = project.vitest.projects.map(({ name }) => name)
  const tarball = await pack(folder)

  await Promise.all(TREES.map(async (tree, i) => {
    if (names.includes(`versions: ${tree.name}`)) {
      await installTree(tree, join(folder, `${i}`), tarball)
      process.stdout.write(`installed ${tree.name}\n`)
    }
  }))

  return () => { rmSync(folder, { recursive: true }) }
}
