import type { Connection } from '@libp2p/interface'

/**
 * Errors of connections that have no stream to give
 */
const LOST = ['ConnectionClosedError', 'MuxerClosedError']

/**
 * Whether no stream could be opened because the connection was lost. Nobody has
 * got the stream, so it can be opened on another one.
 */
export function isLost (connection: Connection, err: Error): boolean {
  return connection.status !== 'open' || LOST.includes(err.name)
}
