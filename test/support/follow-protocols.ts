import { KnownProtocols } from '../../src/negotiation/known-protocols.ts'
import type { OpenerServices } from './nodes.ts'
import type { StreamOpenerComponents } from '../../src/index.ts'
import type { Libp2p } from '@libp2p/interface'

/**
 * Sees what the service's own sees
 */
export function followProtocols (node: Libp2p<OpenerServices>): KnownProtocols {
  const { events, peerStore, logger } = (node as unknown as { components: StreamOpenerComponents }).components
  const known = new KnownProtocols({ events, peerStore }, logger.forComponent('test'))
  known.start()

  return known
}
