import { bareMuxer } from './bare-muxer.ts'
import type { Dialer } from './with-dialer.ts'
import type { Connection, Stream } from '@libp2p/interface'

/**
 * - `dialProtocol`: libp2p
 * - `newStream`, `newStreamOn`: the stream opener, optimistically
 * - `bareMuxer`: the limit, a stream of the muxer and a handshake that is written by
 *   hand
 */
export const OPENERS = ['dialProtocol', 'newStream', 'newStreamOn', 'bareMuxer'] as const

export type Opener = typeof OPENERS[number]

export function openersOf (dialer: Dialer, connection: Connection, protocol: string): Record<Opener, () => Promise<Stream>> {
  const { remotePeer } = connection
  const { streamOpener } = dialer.services

  return {
    dialProtocol: async () => dialer.dialProtocol(remotePeer, protocol),
    newStream: async () => streamOpener.newStream(remotePeer, protocol),
    newStreamOn: async () => streamOpener.newStreamOn(connection, protocol),
    bareMuxer: bareMuxer(connection)
  }
}
