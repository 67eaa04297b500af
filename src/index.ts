/**
 * @packageDocumentation
 *
 * Opens libp2p streams in one round trip instead of two.
 *
 * js-libp2p negotiates the protocol of every stream to its end before it hands
 * the stream out. This service uses what [identify](https://github.com/libp2p/specs/blob/master/identify/README.md)
 * has already said: where the peer is known to speak the protocol, the
 * [multistream-select](https://github.com/multiformats/multistream-select)
 * handshake and the first data leave together, and the answer to the handshake
 * is checked while reading. The same bytes are on the wire, only nobody waits.
 *
 * @example
 *
 * ```typescript
 * import { noise } from '@libp2p/noise'
 * import { yamux } from '@libp2p/yamux'
 * import { identify } from '@libp2p/identify'
 * import { tcp } from '@libp2p/tcp'
 * import { createLibp2p } from 'libp2p'
 * import { streamOpener } from 'libp2p-stream-opener'
 * import { multiaddr } from '@multiformats/multiaddr'
 *
 * const node = await createLibp2p({
 *   transports: [tcp()],
 *   connectionEncrypters: [noise()],
 *   streamMuxers: [yamux()],
 *   services: {
 *     identify: identify(),
 *     streamOpener: streamOpener()
 *   }
 * })
 *
 * const stream = await node.services.streamOpener.newStream(multiaddr('/ip4/...'), '/echo/1.0.0')
 * ```
 *
 * What is guaranteed:
 *
 * - Known means known. A peer is known to speak what its last identify or identify-push
 *   message on the connection named, and what it has confirmed on it. What it merely
 *   opened to this node does not count, although libp2p puts that into the peer store.
 * - Never later than libp2p. While identify is on its way the handshake of the first
 *   protocol goes out at once, and the stream comes back when identify names the protocol
 *   or the peer confirms it, whichever is first. If nothing is known, libp2p negotiates.
 * - In your order. Of several protocols you get the one that libp2p would select: the
 *   first one, if it is known, or a later one, if the last identify message of the
 *   connection names none before it. If it is not certain, libp2p negotiates.
 * - `close()` takes no round trip. It returns when what was written has been passed on.
 *   Whoever begins to read after that, or later, still sees the data, the end, or the
 *   error.
 * - The last message arrives. Whoever closes the connection or stops the node waits for
 *   the confirmation of streams that were written to or closed, for a second at most, or
 *   until the signal of `close()` aborts.
 * - Not a byte of the handshake is ever read, and none behind it is lost, however it is
 *   cut up.
 * - A listener that speaks first gets the handshake by itself, in the next turn of the
 *   event loop.
 * - A connection that is lost before anything was written, or whose muxer the peer has
 *   closed, is replaced by another one, once.
 * - The rest is that of libp2p: connection status, limited connections, middleware,
 *   metrics, progress events and errors are as for `connection.newStream`. Where the muxer
 *   of a connection cannot be reached, libp2p opens the stream. Whatever rejects, rejects
 *   with an `Error` that has one of the documented names.
 *
 * Limits:
 *
 * - `maxStreamsPerProtocol` streams of a protocol are open on a connection at a time, and
 *   `maxNegotiationsPerPeer` calls wait for a peer to answer a handshake. The muxer may have
 *   a limit of its own. While the peer has not answered anything on a new connection,
 *   8 streams are opened on it, as a js-libp2p listener resets a connection on which more
 *   than 10 arrive before it has set it up.
 * - Each peer has limits and a queue of its own. In the queue a higher `priority` goes
 *   first, 50 unless the call says otherwise, then who asked first: a call with a lower
 *   `maxOutboundStreams` of its own holds up those behind it.
 * - Streams that somebody else opens with `connection.newStream` are not counted, unless
 *   they are intercepted.
 *
 * Metrics: `libp2p_stream_opener_optimistic_opens_total`,
 * `libp2p_stream_opener_early_opens_total` and `libp2p_stream_opener_full_opens_total`, by
 * transport, `libp2p_stream_opener_handshake_failures_total`, `libp2p_stream_opener_queue_length` and
 * `libp2p_stream_opener_queue_wait_seconds`. Logs: `libp2p:stream-opener`, and each open in
 * its `:trace`.
 */

import { readInit } from './options.ts'
import { StreamOpener as StreamOpenerClass } from './stream-opener.ts'
import type { BulkStreams } from './bulk/types.ts'
import type { OpenStreamOnOptions, OpenStreamOptions, PeerStatus, StreamOpenerComponents, StreamOpenerInit } from './types.ts'
import type { Connection, PeerId, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

export { QueueFullError } from '@libp2p/utils'
export { QueueTimeoutError } from './errors.ts'
export * from './bulk/index.ts'
export type * from './types.ts'

/**
 * What an application finds at `node.services.streamOpener`
 */
export interface StreamOpener extends BulkStreams {
  /**
   * Open a stream to a peer, as `libp2p.dialProtocol` does: on a connection that
   * is there, or after dialing the peer. If the connection is lost before anything
   * was written, another one is tried, once.
   *
   * Of several protocols, it is the one that libp2p would select. Where that is not
   * certain, libp2p negotiates them in their order, as it does with `negotiateFully`.
   *
   * The stream may be handed out before the peer has confirmed its protocol. If
   * the peer then does not, the stream is aborted, so that its `close` event and
   * everything that is waiting to read or write report the error:
   *
   * - `UnsupportedProtocolError`: the peer does not speak the protocol after all
   * - `ProtocolError`: it answered with something that was not asked for
   * - `InvalidMessageError`: its answer was not multistream-select
   * - `StreamClosedError`: it ended the stream without an answer
   * - `ConnectionClosedError`: the connection was lost before there was one
   * - `StreamResetError`: the peer reset the stream
   * - `TimeoutError`: there was no answer within `negotiationTimeout`
   *
   * and the next stream of the protocol to the peer is negotiated in full.
   *
   * It rejects with the errors of `libp2p.dialProtocol`, among them
   * `InvalidParametersError`, `DialError`, `UnsupportedProtocolError`,
   * `LimitedConnectionError` and the reason of an aborted `signal`, `AbortError`
   * unless the signal has another one. A signal has no effect after the stream was
   * handed out, but for one of `AbortSignal.timeout` before the peer has answered the
   * handshake.
   *
   * There may be only so many streams at a time, a call beyond that waits for its
   * turn:
   *
   * - `QueueFullError`: `maxQueuedPerPeer` calls are waiting already
   * - `QueueTimeoutError`: nothing moved for `queueTimeout`, the message says what
   *   it waited for
   * - `TooManyOutboundProtocolStreamsError`: it was not to wait
   */
  newStream(peer: PeerId | Multiaddr | Multiaddr[], protocols: string | string[], options?: OpenStreamOptions): Promise<Stream>

  /**
   * Open a stream on this connection, as `connection.newStream` does. All the
   * rest is as described for `newStream`.
   */
  newStreamOn(connection: Connection, protocols: string | string[], options?: OpenStreamOnOptions): Promise<Stream>

  /**
   * How things are with a peer. One that is not connected is not known to speak anything.
   */
  status(peerId: PeerId): PeerStatus

  /**
   * How things are with each peer that is connected
   */
  status(): PeerStatus[]
}

/**
 * Returns what the `services` of `createLibp2p` take. Identify has to be among
 * them as well.
 *
 * Throws an `InvalidParametersError` that names the option and its value if that
 * is not one it can have.
 */
export function streamOpener (init: StreamOpenerInit = {}): (components: StreamOpenerComponents) => StreamOpener {
  const settings = readInit(init)

  return (components) => new StreamOpenerClass(components, settings)
}
