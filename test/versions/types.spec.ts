import { execFileSync } from 'node:child_process'
import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, inject, it } from 'vitest'

it('fits the types of this libp2p', () => {
  const tree = inject('tree')

  copyFileSync(join(import.meta.dirname, 'nodes.ts'), join(tree, 'nodes.ts'))
  writeFileSync(join(tree, 'tsconfig.json'), JSON.stringify({
    compilerOptions: {
      target: 'ES2024',
      lib: ['ES2024', 'DOM'],
      module: 'NodeNext',
      strict: true,
      skipLibCheck: true,
      noEmit: true,
      types: []
    }
  }))

  const tsc = join(import.meta.dirname, '../../node_modules/typescript/bin/tsc')
  let output = ''

  try {
    execFileSync(process.execPath, [tsc], { cwd: tree, encoding: 'utf8' })
  } catch (err: any) {
    output = err.stdout
  }

  expect(output).to.equal('')
})
