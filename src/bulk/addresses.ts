/**
 * Where a peer can be reached
 */
import { InvalidMultiaddrError, InvalidParametersError, isPeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { CODE_P2P, isMultiaddr } from '@multiformats/multiaddr'
import { PEER_ID } from '@multiformats/multiaddr-matcher'
import { LOOKUP_TIMEOUT } from '../constants.ts'
import { Deadline } from './deadline.ts'
import { scopeOf } from './filters.ts'
import { transportOf } from './transport-of.ts'
import type { AddressScope } from './index.ts'
import type { TransportName } from './transport-of.ts'
import type { StreamOpenerComponents } from '../index.ts'
import type { AbortOptions, Logger, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * A peer, and the addresses to dial it at - if none were given, those that are known
 */
export interface Target {
  /**
   * Unknown if all there is are addresses that do not say
   */
  peer?: PeerId
  addrs: Multiaddr[]
}

export interface BulkAddress {
  addr: Multiaddr
  transport: TransportName
  scope?: AddressScope
}

/**
 * The nearest first
 */
const SCOPES: Array<AddressScope | undefined> = ['loopback', 'lan', 'public', undefined]

/**
 * As libp2p dials them
 */
const TRANSPORTS: TransportName[] = ['tcp', 'wss', 'ws', 'quic', 'webrtc-direct', 'webtransport', 'webrtc']

function rankOf (transport: TransportName): number {
  const rank = TRANSPORTS.indexOf(transport)

  return rank === -1 ? TRANSPORTS.length : rank
}

function peerOf (addr: Multiaddr): string | undefined {
  return addr.getComponents().findLast(({ code }) => code === CODE_P2P)?.value
}

/**
 * Reads what libp2p can dial, with the same errors
 */
export function readTarget (target: PeerId | Multiaddr | Multiaddr[]): Target {
  if (isPeerId(target)) {
    return { peer: target, addrs: [] }
  }

  const addrs = Array.isArray(target) ? target : [target]

  if (addrs.length === 0 || !addrs.every(isMultiaddr)) {
    throw new InvalidMultiaddrError('A peer must be a PeerId, a multiaddr or several of them')
  }

  const [peer, ...others] = new Set(addrs.map(peerOf))

  if (others.length > 0) {
    throw new InvalidParametersError('Multiaddrs must all have the same peer id or have no peer id')
  }

  return {
    peer: peer == null ? undefined : peerIdFromString(peer),
    addrs: addrs.filter(addr => !PEER_ID.exactMatch(addr))
  }
}

/**
 * The addresses of the peer, near ones first, and of those that are equally near
 * the ones whose transport libp2p prefers
 */
export async function findAddresses (components: StreamOpenerComponents, { peer, addrs }: Target, log: Logger, options: AbortOptions): Promise<BulkAddress[]> {
  const found = addrs.length === 0 && peer != null ? await lookUp(components, peer, log, options) : addrs

  return complete(found, peer)
    .map(addr => ({ addr, transport: transportOf(addr), scope: scopeOf(addr) }))
    .sort((a, b) => SCOPES.indexOf(a.scope) - SCOPES.indexOf(b.scope) || rankOf(a.transport) - rankOf(b.transport))
}

/**
 * All name the peer, none names another one, and each is there once
 */
function complete (addrs: Multiaddr[], peer: PeerId | undefined): Multiaddr[] {
  const unique = new Map<string, Multiaddr>()

  for (let addr of addrs) {
    if (peer != null && addr.getComponents().at(-1)?.code !== CODE_P2P) {
      addr = addr.encapsulate(`/p2p/${peer}`)
    }

    if (peer == null || peerOf(addr) === peer.toString()) {
      unique.set(addr.toString(), addr)
    }
  }

  return [...unique.values()]
}

async function lookUp ({ peerStore, peerRouting }: StreamOpenerComponents, peer: PeerId, log: Logger, options: AbortOptions): Promise<Multiaddr[]> {
  try {
    const { addresses } = await peerStore.get(peer, options)

    if (addresses.length > 0) {
      return addresses.map(({ multiaddr }) => multiaddr)
    }
  } catch (err: any) {
    if (err.name !== 'NotFoundError') {
      throw err
    }
  }

  const deadline = new Deadline([options.signal], LOOKUP_TIMEOUT, `Peer routing did not find ${peer} within ${LOOKUP_TIMEOUT}ms`)

  try {
    const { multiaddrs } = await peerRouting.findPeer(peer, { signal: deadline.signal })

    return multiaddrs
  } catch (err) {
    options.signal?.throwIfAborted()
    log('peer routing has no addresses of %p - %e', peer, err)

    return []
  } finally {
    deadline.clear()
  }
}
