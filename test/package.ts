/**
 * Packs the package and uses it as a new user would: in an empty project, with the
 * example of the README, type-checked and run.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { pack } from './support/packages.ts'

const root = join(import.meta.dirname, '..')
const project = mkdtempSync(join(tmpdir(), 'libp2p-stream-opener-'))

function run (cwd: string, command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}

try {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const example = /```ts\n(import[^`]*createLibp2p[^`]*)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'))?.[1]

  if (example == null) {
    throw new Error('The README has no example that imports createLibp2p')
  }

  const packages = [...example.matchAll(/from '([^']+)'/g)]
    .map(([, name = '']) => name)
    .filter(name => name !== 'libp2p-stream-opener')

  // nothing of the service needs this one
  packages.push('@libp2p/tls')

  const tarball = await pack(project)

  writeFileSync(join(project, 'package.json'), JSON.stringify({
    name: 'new-user',
    private: true,
    type: 'module',
    dependencies: {
      'libp2p-stream-opener': `file:${tarball}`,
      ...Object.fromEntries([...packages, 'typescript', '@types/node'].map(name => [name, devDependencies[name]]))
    }
  }))
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      target: 'ES2024',
      lib: ['ES2024', 'DOM'],
      module: 'NodeNext',
      strict: true,
      noEmit: true,
      types: ['node']
    }
  }))
  writeFileSync(join(project, 'example.ts'), example)
  writeFileSync(join(project, 'tls.ts'), example
    .replace("'@libp2p/noise'", "'libp2p-stream-opener/tls'")
    .replaceAll('noise', 'tls'))

  run(project, 'npm', 'install', '--no-audit', '--no-fund', '--loglevel=error')
  run(project, join(project, 'node_modules/.bin/tsc'))

  for (const file of ['example.ts', 'tls.ts']) {
    const output = run(project, process.execPath, file)

    if (!output.includes('hello')) {
      throw new Error(`The example of the README printed ${JSON.stringify(output)} as ${file}`)
    }
  }

  process.stdout.write(`${basename(tarball)}: installs, type-checks and runs in an empty project, with noise and with TLS on the socket\n`)
} finally {
  rmSync(project, { recursive: true })
}
