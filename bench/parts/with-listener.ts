import { multiaddr } from '@multiformats/multiaddr'
import { withChild } from './with-child.ts'
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
  return withChild<Record<Path, string>, T>('./listener.ts', [transport], async ({ loopback, link }) => {
    return fn({ loopback: multiaddr(loopback), link: multiaddr(link) })
  })
}
