import { format } from 'node:util'
import type { ComponentLogger, Logger } from '@libp2p/interface'

/**
 * A logger for nodes that keeps what is said instead of printing it
 */
export function keptLog (): { logger: ComponentLogger, lines: string[] } {
  const lines: string[] = []

  function create (scope: string): Logger {
    const log = (text: string, ...args: unknown[]): void => { lines.push(`${scope} ${format(text.replaceAll(/%[ap]/g, '%s'), ...args)}`) }

    return Object.assign(log, {
      enabled: true,
      error: log,
      trace: () => {},
      newScope: (name: string) => create(`${scope}:${name}`)
    })
  }

  return { logger: { forComponent: create }, lines }
}
