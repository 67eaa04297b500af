/**
 * What upstream does: the muxer of a connection is in a field of libp2p's `Connection`
 * that is only private to TypeScript (libp2p 3, src/connection.ts). Without it there is
 * no way to get a stream that libp2p has not negotiated, to see the streams that a peer
 * opens before libp2p negotiates them, or to tell that the muxer of an open connection is
 * closed.
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection.ts,
 * test/interop/upstream/js-libp2p-hidden.md
 *
 * How it is detected: the field has the methods and the state of a `StreamMuxer`.
 *
 * Without it: `connection.newStream` opens all streams, this node does not say that it
 * guards its handlers, and a connection whose muxer is closed is found by its error.
 *
 * Until: a connection opens streams without negotiating them, or what ends
 * muxed-stream.ts.
 */
import type { Connection, StreamMuxer } from '@libp2p/interface'

/**
 * The muxer of a connection, or undefined where there is none, or none that can be reached
 */
export function getMuxer (connection: Connection): StreamMuxer | undefined {
  const { muxer } = connection as { muxer?: Partial<StreamMuxer> }

  if (typeof muxer?.createStream === 'function' && typeof muxer.status === 'string' && typeof muxer.protocol === 'string') {
    return muxer as StreamMuxer
  }
}
