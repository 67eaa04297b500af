/**
 * Trees of packages as users of libp2p have them
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { install, npm } from '../support/packages.ts'
import type { Dependencies } from '../support/packages.ts'

export interface Tree {
  name: string

  /**
   * What the application depends on
   */
  dependencies: Dependencies

  /**
   * Whether it was installed when this libp2p was new, and has a lock file since
   * then, so that only this package and what it needs are of today
   */
  isLocked: boolean

  /**
   * What is tried with it
   *
   * - `'versions'`: all that the package does
   * - `'hidden-muxer'`: the same, after libp2p was changed so that the muxer of a
   *   connection can not be reached
   * - `'compliance'`: libp2p's own tests, with all streams intercepted
   */
  spec: 'versions' | 'hidden-muxer' | 'compliance'
}

/**
 * The packages of one release of js-libp2p. Noise and yamux were released by
 * ChainSafe before they moved, QUIC still is.
 */
function locked (libp2p: string, { identify, tcp, tls, mplex }: Dependencies): Tree {
  return {
    name: `libp2p ${libp2p}`,
    isLocked: true,
    spec: 'versions',
    dependencies: {
      libp2p,
      '@libp2p/identify': identify ?? '',
      '@libp2p/tcp': tcp ?? '',
      '@libp2p/tls': tls ?? '',
      '@libp2p/mplex': mplex ?? '',
      '@libp2p/noise': 'npm:@chainsafe/libp2p-noise@17.0.0',
      '@libp2p/yamux': 'npm:@chainsafe/libp2p-yamux@8.0.1',
      '@chainsafe/libp2p-quic': '2.1.1'
    }
  }
}

/**
 * What npm installs today
 */
const LATEST: Dependencies = {
  libp2p: 'latest',
  '@libp2p/identify': 'latest',
  '@libp2p/tcp': 'latest',
  '@libp2p/tls': 'latest',
  '@libp2p/mplex': 'latest',
  '@libp2p/noise': 'latest',
  '@libp2p/yamux': 'latest',
  // npm takes one that was made for libp2p 2 where Node.js is old
  '@chainsafe/libp2p-quic': '^2.1.1'
}

export const TREES: Tree[] = [
  locked('3.0.5', { identify: '4.0.4', tcp: '11.0.4', tls: '3.0.5', mplex: '12.0.6' }),
  locked('3.1.0', { identify: '4.0.7', tcp: '11.0.7', tls: '3.0.7', mplex: '12.0.8' }),
  locked('3.2.0', { identify: '4.1.0', tcp: '11.0.15', tls: '3.0.15', mplex: '12.0.16' }),
  locked('3.3.0', { identify: '4.1.5', tcp: '11.0.19', tls: '3.1.1', mplex: '12.0.21' }),
  {
    name: 'libp2p 3.0.0 among the latest',
    isLocked: false,
    spec: 'versions',
    dependencies: { ...LATEST, libp2p: '3.0.0' }
  },
  {
    name: 'libp2p latest',
    isLocked: false,
    spec: 'versions',
    dependencies: LATEST
  },
  {
    name: 'libp2p latest with a private muxer',
    isLocked: false,
    spec: 'hidden-muxer',
    dependencies: LATEST
  },
  {
    name: 'libp2p latest and its compliance tests',
    isLocked: false,
    spec: 'compliance',
    dependencies: { ...LATEST, '@libp2p/interface-compliance-tests': 'latest' }
  }
]

/**
 * What libp2p's own dependencies were when it was released: js-libp2p releases all
 * its packages together, each asks for the others that are as new as itself
 */
async function oldestDependencies (libp2p: string): Promise<Dependencies> {
  const dependencies: Dependencies = JSON.parse(await npm('.', 'view', `libp2p@${libp2p}`, 'dependencies', '--json', '--loglevel=error'))

  return Object.fromEntries(Object.entries(dependencies)
    .filter(([name]) => name.startsWith('@libp2p/'))
    .map(([name, range]) => [name, range.replace('^', '')]))
}

/**
 * What would be so if libp2p used a private field for it
 */
function hideMuxer (folder: string): void {
  const file = join(folder, 'node_modules/libp2p/dist/src/connection.js')
  const source = readFileSync(file, 'utf8')
  const hidden = source.replace(/^( +)muxer;$/m, '$1#muxer;').replaceAll('this.muxer', 'this.#muxer')

  if (hidden === source) {
    throw new Error('There is no muxer in the connections of this libp2p any more')
  }

  writeFileSync(file, hidden)
}

/**
 * Installs the packages, and then the packed one
 */
export async function installTree (tree: Tree, folder: string, tarball: string): Promise<void> {
  const { libp2p = '' } = tree.dependencies

  mkdirSync(folder)
  cpSync(join(import.meta.dirname, 'aegir'), join(folder, 'aegir'), { recursive: true })

  await install(folder, {
    dependencies: {
      ...tree.isLocked ? await oldestDependencies(libp2p) : {},
      ...tree.dependencies
    },
    overrides: {
      // the compliance tests bring along all that js-libp2p is developed with
      aegir: 'file:./aegir'
    }
  }, tarball)

  if (tree.spec === 'hidden-muxer') {
    hideMuxer(folder)
  }
}
