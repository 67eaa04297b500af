import { multiaddr } from '@multiformats/multiaddr'
import { ROUND_TRIPS } from './round-trips.ts'
import { withChild } from './with-child.ts'
import type { Addresses } from './round-trips.ts'
import type { Transport } from './transports.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * `stock` is a listener that does not have this package, `guarded` is one that does, and
 * `tls` one that has its TLS and nothing else of it
 */
export type ListenerKind = 'stock' | 'guarded' | 'tls'

export function readAddresses (addresses: Addresses<string>): Addresses<Multiaddr> {
  return Object.fromEntries(ROUND_TRIPS.map(roundTrip => [roundTrip, multiaddr(addresses[roundTrip])])) as Addresses<Multiaddr>
}

/**
 * Starts a listener in a process of its own, calls the function with the addresses
 * to dial, by how long a round trip to them takes in ms, and stops the listener
 */
export async function withListener <T> (transport: Transport, fn: (addresses: Addresses<Multiaddr>) => Promise<T>, kind: ListenerKind = 'stock'): Promise<T> {
  return withChild<Addresses<string>, T>('./listener.ts', [transport, kind], async addresses => fn(readAddresses(addresses)))
}
