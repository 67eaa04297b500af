import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, inject, it } from 'vitest'

const programs = readFileSync(join(import.meta.dirname, '../../RECIPES.md'), 'utf8')
  .split('\n## ')
  .flatMap(section => [...section.matchAll(/^(.*)\n[^]*```js\n([^]*?)```/g)].map(([, title = '', program = '']) => ({ title, program })))

it.each(programs)('RECIPES.md: $title', async ({ title, program }) => {
  const file = join(inject('folder'), 'programs', `${title.replaceAll(/\W+/g, '-')}.js`)
  writeFileSync(file, program)

  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file])

  expect(stdout).not.toBe('')
  expect(stderr).toBe('')
})

it('has recipes', () => {
  expect(programs).toHaveLength(2)
})
