import { noise } from '@libp2p/noise'
import { tls } from '@libp2p/tls'
import { tls as socketTls } from '../../../src/tls/index.ts'
import type { ConnectionEncrypter } from '@libp2p/interface'

/**
 * The two nodes of the listener, and what the dialers of each are like. `stock` knows
 * nothing of this package, but for one protocol handler. `ours` has its TLS, and its
 * service, which mends how QUIC is read.
 */
export const NODES = ['stock', 'ours'] as const

export type NodeName = typeof NODES[number]

export type PathName = 'TCP + noise' | 'TCP + tls' | 'TCP + tls on the socket' | 'QUIC' | 'QUIC, reads mended' | 'WebSockets'

/**
 * What can carry bulk data between two nodes
 */
export interface Path {
  name: PathName
  transport: 'tcp' | 'quic' | 'ws'
  node: NodeName

  /**
   * What the dialer offers, QUIC has its own
   */
  encrypter(components: any): ConnectionEncrypter

  /**
   * How much is sent for a sample, in MiB: as much as takes some 0.4 s or more on an
   * ordinary machine. With a quarter of it the samples of one row differ by a factor of
   * two, as it is chance whether the listener has to collect garbage meanwhile. Over
   * QUIC, to listeners without this package, the end of a stream waits until 100 ms after
   * it was opened.
   */
  amount: number

  /**
   * What an application needs for it, besides the transport
   */
  needs?: string
}

export const PATHS: Path[] = [
  { name: 'TCP + noise', transport: 'tcp', node: 'stock', encrypter: noise(), amount: 256 },
  {
    name: 'TCP + tls',
    transport: 'tcp',
    node: 'stock',
    encrypter: tls(),
    amount: 256,
    needs: "import { tls } from '@libp2p/tls', and tls() before noise() in the connectionEncrypters of the dialer"
  },
  {
    name: 'TCP + tls on the socket',
    transport: 'tcp',
    node: 'ours',
    encrypter: socketTls(),
    amount: 512,
    needs: "import { tls } from 'libp2p-stream-opener/tls' at both ends, and tls() before noise() in the connectionEncrypters of the dialer"
  },
  { name: 'QUIC', transport: 'quic', node: 'stock', encrypter: noise(), amount: 48, needs: 'streamOpener({ quicReads: false }) at both ends, or a peer that does not have it' },
  { name: 'QUIC, reads mended', transport: 'quic', node: 'ours', encrypter: noise(), amount: 96, needs: 'streamOpener() at both ends, with quicReads as it is by default' },
  { name: 'WebSockets', transport: 'ws', node: 'stock', encrypter: noise(), amount: 128 }
]

/**
 * Sockets that nothing of libp2p is on, to see what there is to be had
 */
export const SOCKETS = ['node:net', 'node:tls'] as const

export type SocketName = typeof SOCKETS[number]

export const SOCKET_AMOUNT = 512
