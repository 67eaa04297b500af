/**
 * The contract of bulk streams: streams that move a lot of data, on the transport
 * that the application chose, while everything else that the node dials and opens
 * goes on as before.
 */
import type { OpenStreamOptions, TransportName } from '../types.ts'
import type { AbortOptions, Connection, PeerId, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Where an address leads to:
 *
 * - `'loopback'`: this machine - 127.0.0.0/8 and ::1
 * - `'lan'`: the local network - RFC 1918 (10.0.0.0/8, 172.16.0.0/12,
 *   192.168.0.0/16), CGNAT (100.64.0.0/10), link-local (169.254.0.0/16, fe80::/10)
 *   and unique local (fc00::/7)
 * - `'public'`: the Internet - what is globally routed
 *
 * An IPv4-mapped IPv6 address is judged by its IPv4 part. NAT64 (64:ff9b::/96), 6to4
 * and Teredo addresses are public if the IPv4 address in them is. DNS names (nobody
 * resolves them to find out), relayed addresses (whose IP is that of the relay),
 * and what has no IP at all are in no scope, and neither are unspecified and
 * multicast addresses.
 */
export type AddressScope = 'lan' | 'loopback' | 'public'

/**
 * What may carry a stream if no connection can be had on a wanted transport:
 *
 * - `'any'`: any direct connection
 * - `'relay'`: any direct connection, or else a relayed one. Needs
 *   `runOnLimitedConnection`.
 * - `'none'`: nothing, the call is rejected
 */
export type BulkFallback = 'any' | 'relay' | 'none'

/**
 * What an application can ask for
 */
export type BulkTransport = Exclude<TransportName, 'unknown'>

/**
 * Where a stream may go. `scope` and `dialTimeout` concern one address each, the
 * `signal` says how long the call may take in all.
 *
 * The peer's addresses are those that were given, or those in the peer store, or
 * what peer routing finds, in this order. `/dnsaddr` addresses are not resolved,
 * and so not dialled.
 */
export interface BulkStreamOptions extends OpenStreamOptions {
  /**
   * The transport to use, or several in order of preference. `'any'` is any direct
   * connection, whatever carries it. `'relay'` needs `runOnLimitedConnection`.
   *
   * @default 'any'
   */
  transport?: 'any' | BulkTransport | BulkTransport[]

  /**
   * Only use connections and addresses on the wanted transport that lead to there.
   * What it falls back to may lead to anywhere.
   *
   * @default anywhere
   */
  scope?: AddressScope

  /**
   * What happens if there is no connection on a wanted transport
   *
   * @default 'any'
   */
  fallback?: BulkFallback

  /**
   * How long the dial of one address may take until the connection can be used, in
   * ms
   *
   * @default 3_000 for addresses on this machine and in the local network, 10_000 for all others
   */
  dialTimeout?: number

  /**
   * Use a connection that is dialled for this call, and not one that is there
   *
   * @default false
   */
  force?: boolean
}

/**
 * What was tried, and why it failed
 */
export interface BulkAttempt {
  /**
   * The transport that was to be used, `'any'` if every direct connection would do
   */
  transport: TransportName | 'any'

  /**
   * The address that was dialled - there is none if the peer has no address that
   * would do
   */
  addr?: Multiaddr

  /**
   * Why it failed
   */
  error: Error
}

/**
 * A stream, and what really carries it
 */
export interface BulkStream {
  /**
   * The same stream that `newStream` returns
   */
  stream: Stream

  /**
   * What the stream is on
   */
  connection: Connection

  /**
   * What carries the connection
   */
  transport: TransportName

  /**
   * What encrypts the connection, by its protocol, as in libp2p's `Connection`:
   * `/noise`, `/tls/1.0.0`, or `native` where the transport does it
   */
  encryption?: string

  /**
   * What the streams of the connection share it with, in the same way: `/yamux/1.0.0`,
   * or `quic`
   */
  multiplexer?: string

  /**
   * Whether it is another transport than those that were asked for, or outside of
   * the scope
   */
  fellBack: boolean

  /**
   * A sentence for people, if the stream is not where it should be: why it fell
   * back, or why it has no connection of its own
   */
  reason?: string
}

/**
 * How the streams of a session share connections:
 *
 * - `'shared'`: all are on the same one
 * - `'per-stream'`: each has one of its own that was dialled for it, until there
 *   are `maxConnections`. From then on a stream goes where the fewest are.
 */
export type BulkConnections = 'shared' | 'per-stream'

/**
 * Options of a session: those of each of its streams, and how they share connections
 */
export interface BulkSessionOptions extends BulkStreamOptions {
  /**
   * How the streams of the session share connections
   *
   * @default 'shared'
   */
  connections?: BulkConnections

  /**
   * How many connections there may be, with `connections: 'per-stream'`
   *
   * @default 4
   */
  maxConnections?: number
}

/**
 * What can be said of one stream of a session
 */
export type BulkSessionStreamOptions = Omit<OpenStreamOptions, 'force'>

/**
 * An open stream of a session and the bytes of the application that went through
 * it: those that it has taken to be sent, and those that were read from it
 */
export interface BulkSessionStream {
  /**
   * The stream that `openStream` has returned
   */
  readonly stream: Stream

  /**
   * Bytes that the stream has taken to be sent
   */
  readonly bytesSent: number

  /**
   * Bytes that were read from the stream
   */
  readonly bytesReceived: number
}

/**
 * Streams to one peer that stay on the transport that the session has got.
 */
export interface BulkSession {
  /**
   * What carries the session now, or did last
   */
  readonly transport: TransportName

  /**
   * What encrypts its connections, as of a stream
   */
  readonly encryption?: string

  /**
   * What its streams share a connection with, as of a stream
   */
  readonly multiplexer?: string

  /**
   * The open connections that its streams are on
   */
  readonly connections: Connection[]

  /**
   * The streams that are open
   */
  readonly streams: BulkSessionStream[]

  /**
   * Bytes that all streams have taken to be sent, those that are closed included
   */
  readonly bytesSent: number

  /**
   * Bytes that were read from all streams, those that are closed included
   */
  readonly bytesReceived: number

  /**
   * Open a further stream. If the connection that it would be on has been lost, the
   * same transport is dialled again, then the session falls back as it was told
   * when it was opened, and the result says so.
   *
   * With `'per-stream'`, when the peer refuses further connections although they
   * come slowly, the session goes on with those that it has, and the result says
   * so in `reason`.
   *
   * It rejects with the errors of `openBulkStream`, with an `AbortError` when the
   * session is closed in the meantime, and with a `ConnectionClosedError` when it
   * has been closed before.
   */
  openStream(options?: BulkSessionStreamOptions): Promise<BulkStream>

  /**
   * End all streams of the session: gracefully, or with a reset when the `signal` of
   * any call aborts, which is after a second if it has none. Then close the connections
   * that were dialled for it - unless somebody else has opened a stream on one with
   * this service: that is closed when they have done with it. Resolves with the
   * number of connections that it closed.
   */
  close(options?: AbortOptions): Promise<number>
}

/**
 * The part of the service that opens bulk streams
 */
export interface BulkStreams {
  /**
   * Open a stream on the transport that the application chose:
   *
   * 1. for each wanted transport in order of preference: on an open connection on
   *    it, whoever has dialled it, or else on a new one. Only the peer's addresses
   *    on that transport are dialled, one every 50ms or as soon as the last one failed,
   *    25 at most. Those that were given, or that the peer has signed, come first:
   *    those of this machine, then those of the local network, then all others. What
   *    anybody may have put into the peer store, or peer routing has found, is dialled
   *    in libp2p's order, the local network after the Internet and this machine last.
   *    The first success wins, all others are aborted.
   * 2. as `fallback` says, in the same way. `fellBack` and `reason` tell.
   *
   * The connection gater is always asked, and the peer store told of the address that
   * was reached, as when libp2p dials. Calls at the same time share a dial of the same
   * address. A connection that was dialled for a stream that could then not
   * be opened is closed again.
   *
   * It rejects with
   *
   * - `InvalidParametersError`, before anything is done: a transport that is
   *   unknown or that the node has not got, options that contradict each other
   * - `TransportUnavailableError`: there is no connection, its `attempts` say why
   * - `DialError`: the peer is this node itself
   * - the reason of the `signal`, at once
   * - all that `newStream` rejects with
   */
  openBulkStream(peer: PeerId | Multiaddr | Multiaddr[], protocols: string | string[], options?: BulkStreamOptions): Promise<BulkStream>

  /**
   * Open a session of streams to a peer. It resolves when the first connection is
   * there, chosen as for `openBulkStream`, and rejects with the same errors. The
   * options are those of all its streams, but for the `signal` and `onProgress`,
   * which are those of this call.
   */
  openBulkSession(peer: PeerId | Multiaddr | Multiaddr[], protocols: string | string[], options?: BulkSessionOptions): Promise<BulkSession>
}
