import { createRelay } from '../../test/support/relay.ts'
import type { Relay, RelayInit } from '../../test/support/relay.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Calls the function with the address of a relay to the listener at this one, and
 * closes the relay. It is in this process, so it is not for where CPU time counts.
 */
export async function withRelay <T> (addr: Multiaddr, init: RelayInit, fn: (addr: Multiaddr, relay: Relay) => Promise<T>): Promise<T> {
  const relay = await createRelay(addr, init)

  try {
    return await fn(relay.addr, relay)
  } finally {
    await relay.close()
  }
}
