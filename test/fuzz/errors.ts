import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as libp2p from '@libp2p/interface'
import { check } from './promises.ts'

const ROOT = join(import.meta.dirname, '../..')

function namesIn (file: string, pattern: RegExp): string[] {
  return [...readFileSync(join(ROOT, file), 'utf8').matchAll(pattern)].flatMap(([, name]) => name == null ? [] : [name])
}

/**
 * What a stream can end with whose peer does not speak the protocol after all: the rows of
 * the table of the README that are about the stream
 */
export const HANDSHAKE_ERRORS = namesIn('README.md', /^\| (`\w+Error`(?:, `\w+Error`)*) \| (?:the stream|both)/gm).flatMap(names => names.replaceAll('`', '').split(', '))

/**
 * What else the documentation names, and what is libp2p's. Of libp2p's own errors
 * only some are exported.
 */
export const DOCUMENTED_ERRORS = [
  ...['README.md', 'src/index.ts', 'src/types.ts', 'src/bulk/types.ts'].flatMap(file => namesIn(file, /`(\w+Error)`/g)),
  ...Object.keys(libp2p).filter(name => name.endsWith('Error')),
  'ConnectionClosingError', 'ConnectionFailedError', 'DialDeniedError', 'DialError', 'EncryptionFailedError', 'NoValidAddressesError',
  'UnexpectedEOFError'
]

export function checkName ({ name, message }: Error, what: string, names: string[]): void {
  check(names.includes(name), `${what} with ${name}, which is not documented: ${message}`)
}
