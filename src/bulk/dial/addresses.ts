/**
 * Where a peer can be reached
 */
import { InvalidMultiaddrError, InvalidParametersError, isPeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { CODE_P2P, isMultiaddr } from '@multiformats/multiaddr'
import { PEER_ID } from '@multiformats/multiaddr-matcher'
import { LOOKUP_TIMEOUT } from '../../constants.ts'
import { hostOf, scopeOf } from './filters.ts'
import { transportOf } from '../../transport-of.ts'
import { withSignal } from '../with-signal.ts'
import type { AddressScope } from '../types.ts'
import type { TransportName } from '../../types.ts'
import type { AbortOptions, Address, PeerId, PeerRouting, PeerStore } from '@libp2p/interface'
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
 * Where addresses are looked up if none were given
 */
interface AddressSources {
  peerStore: Pick<PeerStore, 'get'>
  peerRouting: Pick<PeerRouting, 'findPeer'>
}

type Log = (formatter: string, ...args: unknown[]) => void

/**
 * The nearest first
 */
const SCOPE_ORDER: Array<AddressScope | undefined> = ['loopback', 'lan', 'public', undefined]

/**
 * As libp2p dials them
 */
const TRANSPORT_ORDER: TransportName[] = ['tcp', 'wss', 'ws', 'quic', 'webrtc-direct', 'webtransport', 'webrtc']

function rankOf (transport: TransportName): number {
  const rank = TRANSPORT_ORDER.indexOf(transport)

  return rank === -1 ? TRANSPORT_ORDER.length : rank
}

/**
 * Third parties can put addresses of a peer into the peer store, by peer routing or
 * peer exchange. What is made up should neither keep the real ones from being dialled
 * nor lead to what listens on this machine. So of what the peer has not signed it is
 * libp2p's order: the Internet and DNS names, then the LAN, then this machine and IPs
 * that nobody can have (Linux takes 0.0.0.0 for this machine) or are those of relays.
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection-manager/address-sorter.ts
 */
function doubtOf ({ addr, scope }: BulkAddress): number {
  if (scope === 'public' || (scope == null && hostOf(addr)?.name.startsWith('ip') !== true)) {
    return 0
  }

  return scope === 'lan' ? 1 : 2
}

/**
 * An id is spelled as a multihash, or as a CID in several bases
 */
function readPeerId (id: string): PeerId {
  try {
    return peerIdFromString(id)
  } catch (err: any) {
    // what it is made of throws all sorts of things
    throw /^Invalid/.test(err.name) ? err : new InvalidParametersError(`'${id}' is not a peer id: ${err.message}`)
  }
}

function isIdOf (peer: PeerId, id: string): boolean {
  try {
    return peer.equals(id) || peer.equals(readPeerId(id))
  } catch {
    return false
  }
}

function peerOf (addr: Multiaddr): PeerId | undefined {
  const id = addr.getComponents().findLast(({ code }) => code === CODE_P2P)?.value

  return id == null ? undefined : readPeerId(id)
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

  const [peer, ...others] = addrs.map(peerOf)

  if (others.some(other => peer == null ? other != null : !peer.equals(other))) {
    throw new InvalidParametersError('Multiaddrs must all have the same peer id or have no peer id')
  }

  return {
    peer,
    addrs: addrs.filter(addr => !PEER_ID.exactMatch(addr))
  }
}

/**
 * The addresses of the peer. Those that somebody answers for come first: the caller
 * who gave them, or the peer, which has signed them. Of these the near ones are first,
 * of those that are equally near the ones whose transport libp2p prefers.
 */
export async function findAddresses (sources: AddressSources, { peer, addrs }: Target, log: Log, options: AbortOptions): Promise<BulkAddress[]> {
  const found = addrs.length === 0 && peer != null
    ? await lookUp(sources, peer, log, options)
    : addrs.map(multiaddr => ({ multiaddr, isCertified: true }))

  const addresses = complete(found, peer)

  return [
    ...pick(addresses, true).sort((a, b) => SCOPE_ORDER.indexOf(a.scope) - SCOPE_ORDER.indexOf(b.scope) || rankOf(a.transport) - rankOf(b.transport)),
    ...pick(addresses, false).sort((a, b) => doubtOf(a) - doubtOf(b) || rankOf(a.transport) - rankOf(b.transport))
  ]
}

function pick (addresses: Address[], certified: boolean): BulkAddress[] {
  return addresses
    .filter(({ isCertified }) => isCertified === certified)
    .map(({ multiaddr: addr }) => ({ addr, transport: transportOf(addr), scope: scopeOf(addr) }))
}

/**
 * All name the peer in the same way, none names another one, and each is there once
 */
function complete (addresses: Address[], peer: PeerId | undefined): Address[] {
  const unique = new Map<string, Address>()

  for (const { multiaddr, isCertified } of addresses) {
    const addr = peer == null ? multiaddr : nameThe(peer, multiaddr)

    if (addr != null) {
      const key = addr.toString()

      unique.set(key, { multiaddr: addr, isCertified: isCertified || unique.get(key)?.isCertified === true })
    }
  }

  return [...unique.values()]
}

/**
 * The address with the id of the peer at its end, unless that of another one is there
 */
function nameThe (peer: PeerId, addr: Multiaddr): Multiaddr | undefined {
  const last = addr.getComponents().at(-1)

  if (last?.code !== CODE_P2P) {
    return addr.encapsulate(`/p2p/${peer}`)
  }

  if (last.value == null || !isIdOf(peer, last.value)) {
    return
  }

  return peer.equals(last.value) ? addr : addr.decapsulateCode(CODE_P2P).encapsulate(`/p2p/${peer}`)
}

async function lookUp ({ peerStore, peerRouting }: AddressSources, peer: PeerId, log: Log, options: AbortOptions): Promise<Address[]> {
  try {
    const { addresses } = await peerStore.get(peer, options)

    if (addresses.length > 0) {
      return addresses
    }
  } catch (err: any) {
    if (err.name !== 'NotFoundError') {
      throw err
    }
  }

  const timeout = { ms: LOOKUP_TIMEOUT, message: `Peer routing did not find ${peer} within ${LOOKUP_TIMEOUT}ms` }

  try {
    const { multiaddrs } = await withSignal([options.signal], async signal => peerRouting.findPeer(peer, { signal }), timeout)

    return multiaddrs.map(multiaddr => ({ multiaddr, isCertified: false }))
  } catch (err) {
    options.signal?.throwIfAborted()
    log('peer routing has no addresses of %p - %e', peer, err)

    return []
  }
}
