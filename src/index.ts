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
