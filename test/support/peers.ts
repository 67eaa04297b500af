import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { TransportName } from './nodes.ts'

export type PeerName = 'go' | 'rust' | 'python'
/**
 * `socket tls` is that of this package
 */
export type PeerEncrypter = 'noise' | 'tls' | 'socket tls'

const INTEROP = join(import.meta.dirname, '../interop')

/**
 * Where the peers are built
 */
export const BUILD = join(INTEROP, '.build')

/**
 * What it takes to start each peer, none of it is there before it is built
 */
export const PEERS: Record<PeerName, [file: string, ...args: string[]]> = {
  go: [join(BUILD, 'go-peer')],
  rust: [join(BUILD, 'rust/release/interop-peer')],
  python: [join(BUILD, 'venv/bin/python'), join(INTEROP, 'python/peer.py')]
}

/**
 * A peer and how to get there
 */
export interface Cell {
  peer: PeerName
  transport: TransportName

  /**
   * QUIC has its own
   */
  encrypter?: PeerEncrypter
  name: string
}

export function isBuilt (peer: PeerName): boolean {
  return existsSync(PEERS[peer][0])
}

function cellsOf (peer: PeerName): Cell[] {
  return [
    { peer, transport: 'tcp', encrypter: 'noise', name: `${peer} over tcp and noise` },
    { peer, transport: 'tcp', encrypter: 'tls', name: `${peer} over tcp and tls` },
    { peer, transport: 'tcp', encrypter: 'socket tls', name: `${peer} over tcp and tls on the socket` },
    { peer, transport: 'quic', name: `${peer} over quic` }
  ]
}

const ALL_PEERS: PeerName[] = ['go', 'rust', 'python']

/**
 * js-libp2p and py-libp2p refuse each other's TLS, see upstream/js-libp2p-tls-extensions.md
 */
export function isRefused ({ peer, encrypter }: Cell): boolean {
  return peer === 'python' && (encrypter === 'tls' || encrypter === 'socket tls')
}

/**
 * Every peer that is built, on every path that works. Where a toolchain is missing,
 * `build.ts` has said so, or failed.
 */
export function builtCells (peers = ALL_PEERS): Cell[] {
  return peers.filter(isBuilt).flatMap(cellsOf).filter(cell => !isRefused(cell))
}

/**
 * The paths that do not work
 */
export function refusedCells (): Cell[] {
  return ALL_PEERS.filter(isBuilt).flatMap(cellsOf).filter(isRefused)
}
