import { join } from 'node:path'
import type { Plugin } from 'vitest/config'

const LIBP2P = /^(libp2p|libp2p-stream-opener(\/tls)?|@(libp2p|chainsafe|multiformats)\/.*)$/

/**
 * Has the tests import libp2p, this package, and what else is named, from a folder.
 * Nothing else may be found in its place.
 */
export function importsFrom (folder: string, names: string[] = []): Plugin {
  return {
    name: `imports-from-${folder}`,
    enforce: 'pre',
    async resolveId (source) {
      if (!LIBP2P.test(source) && !names.some(name => source === name || source.startsWith(`${name}/`))) {
        return
      }

      const resolved = await this.resolve(source, join(folder, 'package.json'), { skipSelf: true })

      if (resolved?.id.startsWith(join(folder, 'node_modules')) !== true) {
        throw new Error(`${source} is not in ${folder}`)
      }

      return resolved
    }
  }
}
