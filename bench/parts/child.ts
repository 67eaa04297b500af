import type { Libp2p } from '@libp2p/interface'

interface Closeable {
  close(): Promise<void>
}

/**
 * To be called by a script that `withChild` started, when it is ready. It goes when
 * the process that started it does.
 */
export function ready (message: unknown, nodes: Libp2p[], others: Closeable[] = []): void {
  process.on('disconnect', () => {
    Promise.race([
      Promise.allSettled([...others.map(async other => other.close()), ...nodes.map(async node => node.stop())]),
      new Promise(resolve => { setTimeout(resolve, 2000) })
    ]).then(() => process.exit(), () => {})
  })

  process.send?.(message)
}
