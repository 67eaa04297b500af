import { execFileSync } from 'node:child_process'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createLibp2p } from 'libp2p'
import { streamOpener } from 'libp2p-stream-opener'
import { expect, inject, it } from 'vitest'

const tree = inject('tree')

it('uses the libp2p of this tree, and the packed package', async () => {
  const libp2p = await import(join(tree, 'node_modules/libp2p/dist/src/index.js'))
  const opener = await import(join(tree, 'node_modules/libp2p-stream-opener/dist/index.js'))

  expect(createLibp2p).toBe(libp2p.createLibp2p)
  expect(streamOpener).toBe(opener.streamOpener)
})

it('fits the types of this libp2p', () => {
  copyFileSync(join(import.meta.dirname, 'application.ts'), join(tree, 'application.ts'))
  writeFileSync(join(tree, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      target: 'ES2024',
      lib: ['ES2024', 'DOM'],
      module: 'NodeNext',
      strict: true,
      noEmit: true,
      types: []
    },
    files: ['application.ts']
  }))

  // libp2p's own types are not without errors among others than their own
  const errors = typecheck().filter(line => /^(application\.ts|node_modules\/libp2p-stream-opener\/dist\/)/.test(line))

  expect(errors).toEqual([])
})

function typecheck (): string[] {
  try {
    execFileSync(process.execPath, [join(import.meta.dirname, '../../node_modules/typescript/bin/tsc')], { cwd: tree, encoding: 'utf8' })

    return []
  } catch (err: any) {
    return err.stdout.split('\n')
  }
}
