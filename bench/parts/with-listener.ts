import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { multiaddr } from '@multiformats/multiaddr'
import type { Transport } from './transports.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * The ways to the listener: without any delay, and with a round trip of 50 ms
 */
export type Path = 'loopback' | 'link'

/**
 * Starts a listener in a process of its own, calls the function with the addresses
 * to dial, and stops the listener
 */
export async function withListener <T> (transport: Transport, fn: (addresses: Record<Path, Multiaddr>) => Promise<T>): Promise<T> {
  const child = fork(fileURLToPath(new URL('./listener.ts', import.meta.url)), [transport])
  const exited = once(child, 'exit')

  try {
    const { loopback, link } = await Promise.race([
      once(child, 'message').then(([addresses]) => addresses),
      exited.then(([code]) => { throw new Error(`The listener did not start, its process ended with ${code}`) })
    ])

    return await fn({ loopback: multiaddr(loopback), link: multiaddr(link) })
  } finally {
    if (child.connected) {
      child.disconnect()
    }

    await exited
  }
}
