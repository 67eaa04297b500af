/**
 * What upstream does: a peer can close the muxer of a connection and leave the connection
 * open (yamux: GoAway). libp2p keeps it, as its status is that of the transport, and opens
 * streams on it, which fails (libp2p 3, src/connection.ts).
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection.ts,
 * test/interop/upstream/js-libp2p-goaway.md
 *
 * How it is detected: by the status of the muxer, see muxer-access.ts.
 *
 * Without it: such connections pile up, another one for each stream.
 *
 * Until: a connection is closed with its muxer.
 */
import { getMuxer } from './muxer-access.ts'
import type { Connection, Logger } from '@libp2p/interface'

/**
 * Whether there can be no streams on the connection any more, though it may be open
 */
export function isMuxerClosed (connection: Connection): boolean {
  return getMuxer(connection)?.status === 'closed'
}

export function closeUseless (connections: Connection[], log: Logger): void {
  for (const connection of connections) {
    if (connection.status === 'open' && isMuxerClosed(connection)) {
      log('closing connection %s to %p, whose muxer is closed', connection.id, connection.remotePeer)
      connection.close().catch(err => { connection.abort(err) })
    }
  }
}
