import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { install, pack, TREES } from './trees.ts'
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
 * Installs the trees of the projects that are to run
 */
export default async function setup (project: TestProject): Promise<() => void> {
  const { folder } = project.getProvidedContext()
  const names = project.vitest.projects.map(({ name }) => name)
  const tarball = await pack(folder)

  await Promise.all(TREES.map(async (tree, i) => {
    if (names.includes(tree.name)) {
      await install(tree, join(folder, `${i}`), tarball)
      process.stdout.write(`installed ${tree.name}\n`)
    }
  }))

  return () => { rmSync(folder, { recursive: true }) }
}
