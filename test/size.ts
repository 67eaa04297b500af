/**
 * Bundles an application for browsers with and without the package, and prints what
 * the package adds: minified and compressed, as it is downloaded. What libp2p
 * brings along anyway does not count.
 *
 * The package loads its code for bulk streams when the first one is opened, that for QUIC
 * where there is such a transport, so never in a page, and that for faster dials where an
 * option asks for it. What counts is what a page has to load before.
 */
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import type { Plugin } from 'esbuild'

/**
 * What the package may add, in bytes. The negotiation of a stream can be that of a
 * connection as well, which a page may never need, but two of them would be more.
 */
const MAX_ADDED = 14.5 * 1024

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

/**
 * Leaves out what is loaded later
 */
function later (filter: RegExp): Plugin {
  return {
    name: 'later',
    setup: ({ onResolve }) => {
      onResolve({ filter }, ({ kind, path }) => kind === 'dynamic-import' ? { path, external: true } : undefined)
    }
  }
}

const quic = later(/\/quic-streams\.ts$/)
const bulk = later(/\/bulk-opener\.ts$/)
const upgrades = later(/\/optimistic-upgrades\.ts$/)

async function measure (contents: string, plugins: Plugin[] = [quic, upgrades]): Promise<Size> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: join(import.meta.dirname, '..') },
    bundle: true,
    splitting: true,
    outdir: 'bundle',
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2023',
    legalComments: 'none',
    plugins
  })

  return {
    minified: outputFiles.reduce((sum, { contents }) => sum + contents.byteLength, 0),
    compressed: outputFiles.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).byteLength, 0)
  }
}

function print (name: string, ...columns: Array<string | number>): void {
  process.stdout.write(`${name.padEnd(30)}${columns.map(column => column.toLocaleString('en').padStart(16)).join('')}\n`)
}

const opener = application('import { streamOpener } from \'./src/index.ts\'', 'streamOpener: streamOpener()')
const transfer = application('import { receiveBulk, sendBulk, streamOpener } from \'./src/index.ts\'', 'streamOpener: streamOpener() } }); Object.assign(globalThis, { receiveBulk, sendBulk }); void ({ services: {')
const without = await measure(application('', ''))
const start = await measure(opener, [quic, bulk, upgrades])

print('bytes', 'minified', 'minified + gzip')
print('a libp2p application', without.minified, without.compressed)

function printAdded (name: string, { minified, compressed }: Size): void {
  print(name, minified - without.minified, compressed - without.compressed)
}

printAdded('the package adds', start)
printAdded('and with resume', await measure(opener, [quic, bulk]))
printAdded('and with bulk streams', await measure(opener))
printAdded('and sendBulk and receiveBulk', await measure(transfer))

const added = start.compressed - without.compressed

// a bundle that lost the package would be small as well
if (added <= 0 || added > MAX_ADDED) {
  throw new Error(`The package adds ${added} bytes to an application, at most ${MAX_ADDED} are right`)
}
