/**
 * The contract: what the options, events and results are
 */
import type { ComponentLogger, Connection, ConnectionGater, ConnectionProtector, DialProtocolOptions, Libp2pEvents, Metrics, NewStreamOptions, PeerId, PeerRouting, PeerStore, TypedEventTarget, Upgrader } from '@libp2p/interface'
import type { ConnectionManager, Registrar, TransportManager } from '@libp2p/interface-internal'
import type { ProgressEvent } from 'progress-events'

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
 *
 * With `'always'` peers are also taken to speak the node's only encrypter, or the first of
 * several, and so the muxer, when they are dialled over TCP or WebSockets. A function is
 * asked for each of these.
 */
export type Negotiation = 'identified' | 'always' | 'full'

/**
 * When the end of the written data (the FIN) is sent by a stream that is closed
 * before the peer has confirmed its protocol:
 *
 * - `'confirmed'`: after the confirmation. Stock js-libp2p listeners lose a FIN
 *   that arrives before their protocol handler listens, and then wait for ever.
 *   Over QUIC, where streams overtake each other, it comes with the first byte of
 *   the answer, or a round trip after the confirmation. Where the answers of a
 *   protocol turn out to wait for it, later streams on the connection are negotiated
 *   as libp2p does.
 * - `'immediate'`: with the data. go-libp2p and rust-libp2p listeners can cope
 *   with that, and nodes that run this service. Where they answer at the end of the
 *   request it saves a round trip.
 */
export type HalfClose = 'confirmed' | 'immediate'

/**
 * Which of the data that is written before the peer has confirmed the protocol leaves
 * at once:
 *
 * - `'all'`: all of it
 * - `'first'`: the first write. The others wait, and `stream.send` returns false. A
 *   js-libp2p listener joins what it gets before its handler listens into one message,
 *   and there are programs that take a message for a write. With stock, writes are
 *   mostly messages of their own.
 */
export type EarlyWrites = 'all' | 'first'

/**
 * One for all protocols, or a function that is asked for each. Where it returns
 * undefined the default is used.
 */
export type PerProtocol<T extends string> = T | ((protocol: string) => T | undefined)

/**
 * Options of the service that each call can override
 */
export interface NegotiationOptions {
  /**
   * How long the peer may take to answer the handshake of a protocol, in ms. A
   * stream that has been handed out by then is aborted with a `TimeoutError`.
   *
   * As in libp2p itself, it does not apply to a full negotiation that was given
   * a `signal`. A peer that is dialled with `resume` has 2,500 ms at most to answer the
   * first handshake, so that there is time to dial it again.
   *
   * @default 10_000, or as long as the `signal` of the call lasts
   */
  negotiationTimeout?: number

  /**
   * When a stream that is closed before the peer has confirmed its protocol sends
   * the end of the data
   *
   * @default 'immediate' if the peer guards its handlers, 'confirmed' otherwise
   */
  halfClose?: PerProtocol<HalfClose>

  /**
   * Which writes leave before the peer has confirmed the protocol
   *
   * @default 'all', and 'first' for streams that were opened because of `intercept`
   */
  earlyWrites?: PerProtocol<EarlyWrites>

  /**
   * After a reconnect, trust what the peer said in its last identify message on
   * an earlier connection until the new one has arrived.
   *
   * From when this is used for the first time, identify messages are stored with
   * the metadata of the peer in the peer store.
   *
   * As an option of the service it is for dials over TCP and WebSockets as well: the peer
   * is taken to speak the encrypter that it has confirmed on the last one, so that the
   * first message of the encrypter leaves at once. If it does not confirm it, its address
   * is dialled once more, and libp2p negotiates.
   *
   * @default false
   */
  resume?: boolean
}

/**
 * Options of the service that each call can override
 */
export interface QueueOptions {
  /**
   * What happens to a call while its peer's limits have no room for it: it waits,
   * or it is rejected with a `TooManyOutboundProtocolStreamsError`, as libp2p does.
   * libp2p limits streams only, so then it does not wait for handshakes either.
   *
   * @default true
   */
  queue?: boolean

  /**
   * How long a call waits while nothing of what it waits for is given back, as none
   * of the streams of its protocol is closed, in ms. However long the queue is, as long
   * as it moves this does not end. It is the `signal` that says how long a call may take
   * in all.
   *
   * @default 10_000
   */
  queueTimeout?: number
}

/**
 * Options of the service
 */
export interface StreamOpenerInit extends NegotiationOptions, QueueOptions {
  /**
   * When a stream is used before the peer has confirmed its protocol
   *
   * @default 'identified'
   */
  negotiation?: PerProtocol<Negotiation>

  /**
   * How many streams of one protocol may be open on one connection, unless the call
   * or the handler of the protocol has a `maxOutboundStreams` of its own. More than
   * that wait.
   *
   * The default is what a js-libp2p listener accepts by default. libp2p gives each
   * handler that does not say otherwise a `maxOutboundStreams` of 64, so a handler
   * cannot ask for just that.
   *
   * @default 32
   */
  maxStreamsPerProtocol?: number

  /**
   * How many handshakes may be waited for, over all connections to one peer.
   * Streams that are used before the peer has confirmed their protocol do not
   * count.
   *
   * @default 32
   */
  maxNegotiationsPerPeer?: number

  /**
   * How many calls may wait to open a stream to one peer
   *
   * @default 16_384
   */
  maxQueuedPerPeer?: number

  /**
   * Open what the rest of the node opens as well: all streams, those of these
   * protocols, or those of protocols for which the function returns true. Then
   * `libp2p.dialProtocol`, `connection.newStream` and every service gain without
   * being touched.
   *
   * What libp2p rejects it still rejects with the same errors. A protocol with a
   * `maxOutboundStreams` of its own is rejected at once beyond it, all others wait
   * as long as streams of it are being closed: when none was for half a second (or
   * for `queueTimeout`, if that is less) libp2p decides.
   *
   * @default false
   */
  intercept?: boolean | string[] | ((protocol: string) => boolean)

  /**
   * Keep the protocol handlers of this node from missing the end of a stream that
   * comes before they listen, and say so to peers, so that those who run this
   * service need not hold it back: identify then names the protocol
   * `/libp2p-stream-opener/listener-guard/1.0.0`.
   *
   * @default true
   */
  listenerGuard?: boolean

  /**
   * Mend how the streams of QUIC connections are read, in both directions, whoever
   * opens them: `@chainsafe/libp2p-quic` reads 4 KiB at a time, goes on while a stream is
   * paused until it aborts it at 4 MiB, and takes a reset or a lost connection for the end
   * of the data. With this, reads grow to 256 KiB while data is waiting, a stream that is
   * paused makes the peer wait, and it closes with a `StreamResetError` or a
   * `ConnectionClosedError`.
   *
   * @default true
   */
  quicReads?: boolean
}

/**
 * What waits for the limits of the peer, or has waited for them
 */
export interface QueueEvent {
  /**
   * The connection that the stream is to be on
   */
  connection: Connection

  /**
   * What was asked for, in the caller's order
   */
  protocols: string[]
}

/**
 * What is opened on which connection
 */
export interface OpenEvent {
  /**
   * The connection that the stream is on
   */
  connection: Connection

  /**
   * What is asked of the peer: those that libp2p negotiates, in their order, or else the
   * one whose handshake the stream sends itself
   */
  protocols: string[]
}

/**
 * The events of a call that waits for the limits of its peer
 */
export type QueueEventType = 'stream-opener:queued' | 'stream-opener:dequeued'

/**
 * What `onProgress` is called with besides libp2p's own events
 *
 * - `queued`: the limits of the peer have no room for the stream, the call waits
 * - `dequeued`: there is room for it now
 * - `optimistic`: the peer is taken to speak the protocol, the stream is handed out
 *   before the peer has confirmed it
 * - `early`: identify is on its way, the handshake is sent at once
 * - `full`: libp2p negotiates the protocols
 */
export type StreamOpenerProgressEvents =
  ProgressEvent<QueueEventType, QueueEvent>
  | ProgressEvent<'stream-opener:optimistic' | 'stream-opener:early' | 'stream-opener:full', OpenEvent>

/**
 * A method, so that a listener that only knows libp2p's events will do
 */
interface ProgressOptions<Event> {
  /**
   * Called with what happens while the stream is opened: libp2p's own events, and
   * those of `StreamOpenerProgressEvents`
   */
  onProgress?(evt: Event): void
}

/**
 * The events of libp2p's own options, which early releases of libp2p 3 have no
 * names for
 */
type ProgressOf<Options> = Options extends { onProgress?(evt: infer Event): void } ? Event : never

/**
 * Options that only a call has
 */
export interface PriorityOptions {
  /**
   * Among calls that wait for the same, those with a higher priority go first
   *
   * @default 50
   */
  priority?: number
}

/**
 * Options for opening a stream to a peer: those of `libp2p.dialProtocol`, and
 * what overrides the service's own
 */
export interface OpenStreamOptions extends Omit<DialProtocolOptions, 'onProgress'>, NegotiationOptions, QueueOptions, PriorityOptions, ProgressOptions<ProgressOf<DialProtocolOptions> | StreamOpenerProgressEvents> {}

/**
 * Options for opening a stream on a connection: those of `connection.newStream`,
 * and what overrides the service's own
 */
export interface OpenStreamOnOptions extends Omit<NewStreamOptions, 'onProgress'>, NegotiationOptions, QueueOptions, PriorityOptions, ProgressOptions<ProgressOf<NewStreamOptions> | StreamOpenerProgressEvents> {}

/**
 * What an open connection is made of
 */
export interface ConnectionStatus {
  /**
   * That of libp2p's `Connection`
   */
  id: string

  /**
   * What carries the connection
   */
  transport: TransportName

  /**
   * What encrypts it, by its protocol, as in libp2p's `Connection`: `/noise`,
   * `/tls/1.0.0`, or `native` where the transport does it
   */
  encryption?: string

  /**
   * What its streams share it with, in the same way: `/yamux/1.0.0` or `quic`
   */
  multiplexer?: string
}

/**
 * How things are with one peer
 */
export interface PeerStatus {
  /**
   * Who it is
   */
  peerId: PeerId

  /**
   * Streams that this service has opened, or is opening. A call for several protocols
   * counts for each of them until one is selected.
   */
  open: number

  /**
   * Calls that wait for the peer to confirm a protocol
   */
  negotiating: number

  /**
   * Calls that wait for a limit
   */
  queued: number

  /**
   * What the peer is known to speak
   */
  protocols: string[]

  /**
   * What the connections to it are made of, those that are open
   */
  connections: ConnectionStatus[]
}

/**
 * What carries a connection
 */
export type TransportName = 'tcp' | 'quic' | 'ws' | 'wss' | 'webtransport' | 'webrtc' | 'webrtc-direct' | 'memory' | 'relay' | 'unknown'

/**
 * What the service needs of the node it is part of
 */
export interface StreamOpenerComponents {
  /**
   * Finds the connection to a peer, or dials it
   */
  connectionManager: ConnectionManager

  /**
   * Knows the limits of the protocols and their middleware, and has identify name the
   * listener guard
   */
  registrar: Registrar

  /**
   * Forgets what a peer turned out not to speak. With `resume` it keeps what the peer
   * has said last.
   */
  peerStore: PeerStore

  /**
   * Says when a connection is opened or closed, and what identify has found
   */
  events: TypedEventTarget<Libp2pEvents>

  /**
   * Its logs are called `libp2p:stream-opener`
   */
  logger: ComponentLogger

  /**
   * Counts what is opened, what fails, and what waits
   */
  metrics?: Metrics

  /**
   * The node itself, which no bulk stream leads to
   */
  peerId: PeerId

  /**
   * Has the transports that bulk streams are dialled with
   */
  transportManager: TransportManager

  /**
   * Makes connections of what is dialled, and knows the encrypters and muxers of the node
   */
  upgrader: Upgrader

  /**
   * Where there is one, connections are upgraded by libp2p alone
   */
  connectionProtector?: ConnectionProtector

  /**
   * Is asked before anything is dialled for a bulk stream
   */
  connectionGater: ConnectionGater

  /**
   * Finds addresses for bulk streams where there are none
   */
  peerRouting: PeerRouting
}
