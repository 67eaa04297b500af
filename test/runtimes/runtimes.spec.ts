import { spawn } from 'node:child_process'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pEvent } from 'p-event'
import { beforeAll, describe, expect, inject, it } from 'vitest'
import { COMMANDS } from './runtimes.ts'

const root = join(import.meta.dirname, '../..')
const tree = join(inject('folder'), 'runtimes')

beforeAll(() => {
  const [, example = ''] = /```ts\n(import[^`]*createLibp2p[^`]*)```/.exec(readFileSync(join(root, 'README.md'), 'utf8')) ?? []

  writeFileSync(join(tree, 'readme.ts'), example)
  copyFileSync(join(import.meta.dirname, 'ping.ts'), join(tree, 'ping.ts'))
})

describe.each(Object.entries(COMMANDS))('%s', (_, [command = '', ...args]) => {
  /**
   * The first line that it prints: on Deno 2.9 a process does not end by itself in
   * which nodes have been connected, with stock neither
   */
  async function run (cwd: string, ...file: string[]): Promise<string> {
    const child = spawn(join(tree, 'node_modules/.bin', command), [...args, ...file], { cwd, stdio: ['ignore', 'pipe', 'inherit'] })

    try {
      return await pEvent<'line', string>(createInterface({ input: child.stdout }), 'line', { rejectionEvents: ['close'] })
    } finally {
      child.kill('SIGKILL')
    }
  }

  it('runs the program of the README', async () => {
    expect(await run(tree, 'readme.ts')).toBe('hello')
  })

  it('pings', async () => {
    expect(await run(tree, 'ping.ts')).toBe('pinged twice')
  })

  it.each(['tcp', 'quic', 'ws', 'memory'])('does what it does with stock, over %s', async transport => {
    expect(await run(root, 'test/runtimes/like-stock.ts', transport)).toMatch(/^\d\d programs, 0 of them not like stock$/)
  })
})
