/**
 * Runs the tests in test/versions/ with the packages of every tree, in which this
 * package is installed as it is packed
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { TREES } from './test/versions/trees.ts'
import type { Plugin } from 'vitest/config'

// this is read once for each project
const folder = join(tmpdir(), `libp2p-stream-opener-versions-${process.pid}`)

/**
 * Has the tests import libp2p, and this package, from a tree. Nothing else may be
 * found in its place.
 */
function importsFrom (tree: string): Plugin {
  return {
    name: `imports-from-${tree}`,
    enforce: 'pre',
    async resolveId (source) {
      if (!/^(libp2p|libp2p-stream-opener(\/tls)?|@(libp2p|chainsafe|multiformats)\/.*)$/.test(source)) {
        return
      }

      const resolved = await this.resolve(source, join(tree, 'package.json'), { skipSelf: true })

      if (resolved?.id.startsWith(join(tree, 'node_modules')) !== true) {
        throw new Error(`${source} is not in ${tree}`)
      }

      return resolved
    }
  }
}

export default defineConfig({
  test: {
    globalSetup: 'test/versions/setup.ts',
    provide: { folder },
    // one at a time, as they measure nothing but load the machine
    fileParallelism: false,
    projects: TREES.map(({ name, spec }, i) => ({
      extends: true,
      plugins: [importsFrom(join(folder, `${i}`))],
      test: {
        name,
        include: ['test/versions/packages.spec.ts', `test/versions/${spec}.spec.ts`],
        provide: { tree: join(folder, `${i}`) },
        testTimeout: 300_000,
        hookTimeout: 300_000
      }
    }))
  }
})
