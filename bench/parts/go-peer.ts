import { startPeer } from '../../test/support/peer-process.ts'
import { isBuilt } from '../../test/support/peers.ts'
import { createLinks } from './links.ts'
import { readAddresses } from './with-listener.ts'
import type { Addresses } from './round-trips.ts'
import type { Transport } from './transports.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Starts a go-libp2p listener and calls the function as `withListener` does - returns
 * undefined where `npm run test:interop` has not built it. It has no WebSockets.
 */
export async function withGoPeer <T> (transport: Transport, fn: (addresses: Addresses<Multiaddr>) => Promise<T>): Promise<T | undefined> {
  if (transport === 'ws' || !isBuilt('go')) {
    return
  }

  const peer = await startPeer('go')

  try {
    const { addresses, relays } = await createLinks(peer.address(transport))

    try {
      return await fn(readAddresses(addresses))
    } finally {
      await Promise.all(relays.map(async relay => relay.close()))
    }
  } finally {
    await peer.stop()
  }
}
