/**
 * Bundles an application for browsers with and without the package, and prints what
 * the package adds: minified and compressed, as it is downloaded. What libp2p
 * brings along anyway does not count.
 */
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

/**
 * What the package may add, in bytes
 */
const MAX_ADDED = 12 * 1024

/**
 * In bytes
 */
interface Size {
  minified: number
  compressed: number
}

function application (imports: string, services: string): string {
  return `
    import { identify } from '@libp2p/identify'
    import { noise } from '@libp2p/noise'
    import { webSockets } from '@libp2p/websockets'
    import { yamux } from '@libp2p/yamux'
    import { createLibp2p } from 'libp2p'
    ${imports}

    globalThis.node = await createLibp2p({
      transports: [webSockets()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { identify: identify(), ${services} }
    })
  `
}

async function measure (contents: string): Promise<Size> {
  const { outputFiles: [bundle] } = await build({
    stdin: { contents, resolveDir: join(import.meta.dirname, '..') },
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    legalComments: 'none'
  })

  if (bundle == null) {
    throw new Error('There is no bundle')
  }

  return { minified: bundle.contents.byteLength, compressed: gzipSync(bundle.contents, { level: 9 }).byteLength }
}

function print (name: string, ...columns: Array<string | number>): void {
  process.stdout.write(`${name.padEnd(30)}${columns.map(column => column.toLocaleString('en').padStart(16)).join('')}\n`)
}

const without = await measure(application('', ''))
const complete = await measure(application('import { streamOpener } from \'./src/index.ts\'', 'streamOpener: streamOpener()'))
const added = complete.compressed - without.compressed

print('bytes', 'minified', 'minified + gzip')
print('a libp2p application', without.minified, without.compressed)
print('with libp2p-stream-opener', complete.minified, complete.compressed)
print('what the package adds', complete.minified - without.minified, added)

// a bundle that lost the package would be small as well
if (added <= 0 || added > MAX_ADDED) {
  throw new Error(`The package adds ${added} bytes to an application, at most ${MAX_ADDED} are right`)
}
