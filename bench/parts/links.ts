import { createRelay } from '../../test/support/relay.ts'
import { ROUND_TRIPS } from './round-trips.ts'
import type { Addresses } from './round-trips.ts'
import type { Relay } from '../../test/support/relay.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Ways to a listener that take a while
 */
export async function createLinks (addr: Multiaddr): Promise<{ addresses: Addresses<string>, relays: Relay[] }> {
  const relays: Relay[] = []
  const addresses: Partial<Addresses<string>> = {}

  for (const roundTrip of ROUND_TRIPS) {
    if (roundTrip === 0) {
      addresses[roundTrip] = addr.toString()
    } else {
      const relay = await createRelay(addr, { delay: roundTrip / 2 })

      relays.push(relay)
      addresses[roundTrip] = relay.addr.toString()
    }
  }

  return { addresses: addresses as Addresses<string>, relays }
}
