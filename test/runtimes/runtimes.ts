/**
 * What else runs JavaScript, as it comes from npm, pinned
 */
import type { Dependencies } from '../support/packages.ts'

export const RUNTIMES: Dependencies = {
  bun: '1.4.5',
  deno: '2.9.6'
}

/**
 * How each runs a file
 */
export const COMMANDS: Record<string, string[]> = {
  bun: ['bun'],
  deno: ['deno', 'run', '--allow-all', '--node-modules-dir=manual']
}
