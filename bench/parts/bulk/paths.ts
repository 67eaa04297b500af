import { noise } from '@libp2p/noise'
import { tls } from '@libp2p/tls'
import type { ConnectionEncrypter } from '@libp2p/interface'
import type { BulkTransport } from '../../../src/index.ts'

/**
 * What can carry bulk data between two nodes
 */
export interface Path {
  name: string
  transport: BulkTransport & ('tcp' | 'quic' | 'ws')

  /**
   * What the dialer offers, QUIC has its own
   */
  encrypter(components: any): ConnectionEncrypter

  /**
   * How much is sent for a sample, in MiB: as much as takes some 0.4 s on an ordinary
   * machine. With a quarter of it the samples of one row differ by a factor of two, as
   * it is chance whether the listener has to collect garbage meanwhile. Over QUIC, to
   * listeners without this package, the end of a stream waits until 100 ms after it was
   * opened.
   */
  amount: number
}

export const PATHS: Path[] = [
  { name: 'TCP + noise', transport: 'tcp', encrypter: noise(), amount: 96 },
  { name: 'TCP + tls', transport: 'tcp', encrypter: tls(), amount: 144 },
  { name: 'QUIC', transport: 'quic', encrypter: noise(), amount: 32 },
  { name: 'WebSockets', transport: 'ws', encrypter: noise(), amount: 48 }
]

/**
 * Sockets that nothing of libp2p is on, to see what there is to be had
 */
export const SOCKETS = ['node:net', 'node:tls'] as const

export type SocketName = typeof SOCKETS[number]

export const SOCKET_AMOUNT = 256
