import { findAddresses } from '../../src/bulk/dial/addresses.ts'
import type { BulkAddress, Target } from '../../src/bulk/dial/addresses.ts'
import type { Address } from '@libp2p/interface'

/**
 * The addresses that a peer is dialled at if none are given, and the peer store has these
 */
export async function foundAddresses (target: Target, stored: Address[] = []): Promise<BulkAddress[]> {
  return findAddresses({
    peerStore: {
      get: async id => ({ id, addresses: stored, protocols: [], metadata: new Map(), tags: new Map() })
    },
    peerRouting: {
      findPeer: async id => ({ id, multiaddrs: [] })
    }
  }, target, () => {}, {})
}
