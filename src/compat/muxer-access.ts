import type { Connection, Stream, StreamMuxer } from '@libp2p/interface'
import type { AbstractStream } from '@libp2p/utils'

/**
 * A stream whose muxer hands data in and takes it out through the methods of
 * `AbstractStream` from `@libp2p/utils`, as those of yamux, mplex, QUIC, WebRTC
 * and WebTransport do.
 */
export type MuxedStream = Stream & Pick<AbstractStream, 'onData' | 'onRemoteCloseWrite' | 'onTransportClosed' | 'sendCloseRead' | 'sendCloseWrite'>

const METHODS: Array<keyof MuxedStream> = ['onData', 'onRemoteCloseWrite', 'onTransportClosed', 'sendCloseRead', 'sendCloseWrite']

/**
 * The muxer of a connection, which libp2p's `Connection` keeps in a field that is
 * only private to TypeScript - or undefined where there is none.
 *
 * This is the only place that reaches behind the public interfaces of libp2p.
 * Where it finds nothing, streams are opened by `connection.newStream`.
 */
export function getMuxer (connection: Connection): StreamMuxer | undefined {
  const { muxer } = connection as { muxer?: Partial<StreamMuxer> }

  if (typeof muxer?.createStream === 'function' && typeof muxer.status === 'string' && typeof muxer.protocol === 'string') {
    return muxer as StreamMuxer
  }
}

/**
 * Whether there can be no streams on the connection any more, though it may be open
 */
export function isMuxerClosed (connection: Connection): boolean {
  return getMuxer(connection)?.status === 'closed'
}

/**
 * How many outbound streams the muxer of the connection allows, which yamux keeps in
 * fields like the above - Infinity where it does not say, and then refuses itself
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/stream-multiplexer-yamux/src/muxer.ts
 */
export function getMaxOutboundStreams (connection: Connection): number {
  const muxer = getMuxer(connection) as { maxOutboundStreams?: unknown, config?: { maxOutboundStreams?: unknown } } | undefined
  const max = muxer?.maxOutboundStreams ?? muxer?.config?.maxOutboundStreams

  return typeof max === 'number' ? max : Infinity
}

/**
 * The streams of a muxer cannot carry the handshake
 */
export class UnsuitedMuxerError extends Error {
  override name = 'UnsuitedMuxerError'
}

/**
 * Whether the stream itself can carry the handshake
 */
export function isMuxedStream (stream: Stream): stream is MuxedStream {
  return METHODS.every(method => typeof (stream as Partial<MuxedStream>)[method] === 'function')
}
