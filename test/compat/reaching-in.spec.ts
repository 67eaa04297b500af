/**
 * Only src/compat touches what libp2p keeps to itself
 */
import { readdirSync, readFileSync } from 'node:fs'
import { Linter } from 'eslint'
import { describe, expect, it } from 'vitest'

const ROOT = new URL('../../', import.meta.url)
const { default: config } = await import(new URL('eslint.config.js', ROOT).href) as { default: Linter.Config[] }

const rule = config.find(({ name }) => name === 'reaching-in')
const parser = config.find(({ languageOptions }) => languageOptions?.parser != null)?.languageOptions?.parser

function messagesOf (code: string, filename: string): string[] {
  if (rule == null) {
    throw new Error('There is no such rule any more')
  }

  const types = { files: ['**/*.ts'], languageOptions: { parser } }

  return new Linter({ configType: 'flat' }).verify(code, [types, rule], filename).map(({ message }) => message)
}

const SNIPPETS = [
  'const { muxer } = connection as { muxer?: StreamMuxer }',
  'const { muxer } = connection as Internals',
  'interface Internals { id: string, muxer?: StreamMuxer }',
  'use((connection as Internals).muxer)',
  'use(connection.muxer)',
  'use(connection["muxer"])',
  'use((connection as unknown as Internals).upgrader)',
  'use((connection as any).upgrader)',
  'const { maConn } = internals',
  'use(internals.maConn.websocket)',
  'use(socket._socket)',
  'stream.onData(data)',
  'stream["onData"](data)',
  'stream.maybeDispatchEnd?.()',
  'stream.dispatchEnd()',
  'void stream.sendCloseWrite()',
  'override(stream, { onRemoteCloseWrite: () => {} })',
  'override(stream, { remoteWriteStatus: "writable" })',
  'stream.writableNeedsDrain = true',
  'stream.writeStatus = "closed"',
  'delete stream.writeBufferLength',
  'Object.defineProperty(stream, "writeBufferLength", { get: () => 0 })',
  'type Hidden = Pick<Stream, "sendCloseRead">',
  'type Hidden = Stream & { sendPauses?(): void }',
  'interface Hidden extends Stream { more: true }',
  'interface Hidden { sendWindowUpdate(): void }',
  'import type { AbstractStream } from "@libp2p/utils"'
]

describe('the lint rule', () => {
  it.each(SNIPPETS)('does not let src reach in: %s', code => {
    expect(messagesOf(code, 'src/negotiation/echo.ts')).toEqual(expect.arrayContaining([expect.stringContaining('Only src/compat')]))
  })

  it.each(SNIPPETS)('lets src/compat: %s', code => {
    expect(messagesOf(code, 'src/compat/muxed-stream.ts')).toEqual([])
  })

  it.each([
    'const { muxer, options } = opening',
    'use(this.#onData, this.#init.muxer)',
    'if (stream.writeStatus === "writable" && !stream.writableNeedsDrain) use(stream.writeBufferLength)',
    'override(connection, { close: async () => {} })',
    'stream.protocol = protocol'
  ])('lets src do what is public: %s', code => {
    expect(messagesOf(`class Own { #onData; #init; own () { ${code} } }`, 'src/negotiation/echo.ts')).toEqual([])
  })
})

const files = readdirSync(new URL('src/compat', ROOT), { recursive: true }).map(String).filter(name => name.endsWith('.ts'))

describe.each(files)('src/compat/%s', name => {
  const source = readFileSync(new URL(`src/compat/${name}`, ROOT), 'utf8')

  it('begins with what upstream does, where, how it is detected, what is without it, and when it can go', () => {
    expect(source).toMatch(/^\/\*\*\n \* What upstream does: [^]+\n \*\n \* Where: [^]+\n \*\n \* How it is detected: [^]+\n \*\n \* Without it: [^]+\n \*\n \* Until: [^]+\*\//)
  })

  it('names a report that is there', () => {
    const [report = 'no report'] = /test\/interop\/upstream\/[\w-]+\.md/.exec(source) ?? []

    expect(readFileSync(new URL(report, ROOT), 'utf8')).toMatch(/^# /)
  })

  it('has a test that goes red when upstream is mended, or what is hidden has changed', () => {
    const tests = readdirSync(new URL('test/compat', ROOT)).map(file => readFileSync(new URL(`test/compat/${file}`, ROOT), 'utf8'))

    expect(tests.some(test => [`else src/compat/${name} can go`, `else src/compat/${name} has to change`].some(end => test.includes(end)))).toBe(true)
  })
})
