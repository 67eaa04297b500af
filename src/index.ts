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
import type { ComponentLogger, Connection, DialProtocolOptions, DialTarget, Libp2pEvents, Metrics, NewStreamOptions, PeerStore, Stream, TypedEventTarget } from '@libp2p/interface'
import type { ConnectionManager, Registrar } from '@libp2p/interface-internal'

/**
 * When a stream is used before the peer has confirmed its protocol:
 *
 * - `'identified'`: when the peer is known to speak the protocol - its last
 *   identify or identify-push message on the same connection named it, or it has
 *   confirmed it on that connection before
 * - `'always'`: whenever a single protocol was asked for, unless the peer has
 *   refused it on the same connection - for networks where every peer is known to
 *   speak it
 * - `'full'`: never, every stream is negotiated by libp2p itself
 */
export type Negotiation = 'identified' | 'always' | 'full'

/**
 * When the end of the written data (the FIN) is sent by a stream that is closed
 * before the peer has confirmed its protocol:
 *
 * - `'confirmed'`: after the confirmation. Stock js-libp2p listeners lose a FIN
 *   that arrives before their protocol handler listens, and then wait for ever.
 *   Over QUIC, where streams do not wait for each other, it comes with the first
 *   byte of the answer, or 100ms after the confirmation.
 * - `'immediate'`: with the data. go-libp2p and rust-libp2p listeners can cope
 *   with that, and where they answer at the end of the request it saves a round
 *   trip.
 */
export type HalfClose = 'confirmed' | 'immediate'

/**
 * Options of the service that each call can override
 */
export interface NegotiationOptions {
  /**
   * How long the peer may take to answer the handshake of a protocol, in ms. A
   * stream that has been handed out by then is aborted with a `TimeoutError`.
   *
   * As in libp2p itself, it does not apply to a full negotiation that was given
   * a `signal`.
   *
   * @default 10_000
   */
  negotiationTimeout?: number

  /**
   * When a stream that is closed before the peer has confirmed its protocol sends
   * the end of the data
   *
   * @default 'confirmed'
   */
  halfClose?: HalfClose

  /**
   * After a reconnect, trust what the peer said in its last identify message on
   * an earlier connection until the new one has arrived.
   *
   * From when this is used for the first time, identify messages are stored with
   * the metadata of the peer in the peer store.
   *
   * @default false
   */
  resume?: boolean
}

/**
 * Options of the service
 */
export interface StreamOpenerInit extends NegotiationOptions {
  /**
   * When a stream is used before the peer has confirmed its protocol
   *
   * @default 'identified'
   */
  negotiation?: Negotiation
}

/**
 * Options for opening a stream to a peer: those of `libp2p.dialProtocol`, and
 * what overrides the service's own
 */
export interface OpenStreamOptions extends DialProtocolOptions, NegotiationOptions {}

/**
 * Options for opening a stream on a connection: those of `connection.newStream`,
 * and what overrides the service's own
 */
export interface OpenStreamOnOptions extends NewStreamOptions, NegotiationOptions {}

/**
 * What an application finds at `node.services.streamOpener`
 */
export interface StreamOpener {
  /**
   * Open a stream to a peer, as `libp2p.dialProtocol` does: on a connection that
   * is there, or after dialing the peer. If the connection is lost before anything
   * was written, another one is tried, once.
   *
   * Of several protocols, the first one that the peer is known to speak is used.
   * If there is none, they are negotiated in their order.
   *
   * The stream may be handed out before the peer has confirmed its protocol. If
   * the peer then does not, the stream is aborted, so that its `close` event and
   * everything that is waiting to read or write report the error:
   *
   * - `UnsupportedProtocolError`: the peer does not speak the protocol after all
   * - `ProtocolError`: it answered with something that was not asked for
   * - `InvalidMessageError`: its answer was not multistream-select
   * - `UnexpectedEOFError`: the stream or the connection ended without an answer
   * - `StreamResetError`: the peer reset the stream
   * - `TimeoutError`: there was no answer within `negotiationTimeout`
   *
   * and the next stream of the protocol to the peer is negotiated in full.
   *
   * It rejects with the errors of `libp2p.dialProtocol`, among them
   * `InvalidParametersError`, `DialError`, `UnsupportedProtocolError`,
   * `LimitedConnectionError`, `TooManyOutboundProtocolStreamsError` and the reason
   * of an aborted `signal`, `AbortError` unless the signal has another one. A
   * signal has no effect after the stream was handed out.
   */
  newStream(peer: DialTarget, protocols: string | string[], options?: OpenStreamOptions): Promise<Stream>

  /**
   * Open a stream on this connection, as `connection.newStream` does. All the
   * rest is as described for `newStream`.
   */
  newStreamOn(connection: Connection, protocols: string | string[], options?: OpenStreamOnOptions): Promise<Stream>
}

/**
 * What the service needs of the node it is part of
 */
export interface StreamOpenerComponents {
  connectionManager: ConnectionManager
  registrar: Registrar
  peerStore: PeerStore
  events: TypedEventTarget<Libp2pEvents>
  logger: ComponentLogger
  metrics?: Metrics
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
