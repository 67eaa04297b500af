import { join } from 'node:path'
import type { Plugin } from 'vitest/config'

/**
 * Has the tests import libp2p, and this package, from a tree. Nothing else may be
 * found in its place.
 */
export function importsFrom (tree: string): Plugin {
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
