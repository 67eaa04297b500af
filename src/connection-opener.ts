/**
 * Opens streams on a connection: waits until the limits of the peer have room for
 * one, asks what the peer is known to speak, and goes the way that follows
 *
 * - optimistic: the peer speaks the protocol, the handshake leaves with the first
 *   write
 * - early: identify is on its way, the handshake leaves at once
 * - full: libp2p negotiates
 */
import { ConnectionClosedError, setMaxListeners } from '@libp2p/interface'
import { CustomProgressEvent } from 'progress-events'
import { UnsuitedMuxerError } from './compat/muxed-stream.ts'
import { getMuxer } from './compat/muxer-access.ts'
import { watchLoss, watchLosses } from './compat/silent-losses.ts'
import { onceLossShows } from './compat/yamux-uncaught.ts'
import { optionFor } from './options.ts'
import { openOutboundStream } from './outbound-stream.ts'
import { toError } from './util/to-error.ts'
import { abortable, onceClosed } from './util/streams.ts'
import type { Admission, Request } from './admission.ts'
import type { OpenStreamOnOptions } from './types.ts'
import type { KnownProtocols } from './negotiation/known-protocols.ts'
import type { Metrics, OpenPath } from './metrics.ts'
import type { Permit } from './limits/permit.ts'
import type { Negotiations } from './negotiation/negotiations.ts'
import type { OutboundStreamComponents, OutboundStreamInit } from './outbound-stream.ts'
import type { Connection, Logger, NewStreamOptions, OpenStreamEvent, Stream, StreamMuxer } from '@libp2p/interface'

/**
 * What libp2p rejects with if it was the negotiation that failed
 */
const HANDSHAKE_ERRORS = ['UnsupportedProtocolError', 'ProtocolError', 'InvalidMessageError', 'UnexpectedEOFError', 'StreamResetError', 'TimeoutError']

interface Opening extends Request {
  connection: Connection
  permit: Permit
}

interface OpeningOnMuxer extends Opening {
  muxer: StreamMuxer
}

interface ConnectionOpenerInit {
  known: KnownProtocols
  negotiations: Negotiations
  admission: Admission
  metrics: Metrics
  log: Logger

  /**
   * Whether somebody is closing the connection
   */
  isClosing(connection: Connection): boolean

  /**
   * libp2p's own `connection.newStream`
   */
  newStream(connection: Connection, protocols: string[], options?: NewStreamOptions): Promise<Stream>
}

export class ConnectionOpener {
  readonly #components: OutboundStreamComponents
  readonly #known: KnownProtocols
  readonly #negotiations: Negotiations
  readonly #admission: Admission
  readonly #metrics: Metrics
  readonly #log: Logger
  readonly #isClosing: ConnectionOpenerInit['isClosing']
  readonly #newStream: ConnectionOpenerInit['newStream']
  readonly #unsuited = new WeakSet<StreamMuxer>()

  constructor (components: OutboundStreamComponents, init: ConnectionOpenerInit) {
    // each look at libp2p's own components is a call
    this.#components = { registrar: components.registrar, metrics: components.metrics }
    this.#known = init.known
    this.#negotiations = init.negotiations
    this.#admission = init.admission
    this.#metrics = init.metrics
    this.#log = init.log
    this.#isClosing = init.isClosing
    this.#newStream = init.newStream
  }

  async open (connection: Connection, request: Request): Promise<Stream> {
    const { protocols, options, settings } = request

    this.#throwIfClosing(connection)

    const remembered = settings.resume ? await this.#findRemembered(connection) : undefined

    options.signal?.throwIfAborted()

    // libp2p has an error for each of these
    if (connection.status !== 'open' || (connection.limits != null && options.runOnLimitedConnection !== true)) {
      return this.#newStream(connection, protocols, options)
    }

    const muxer = this.#findMuxer(connection, request)

    const permit = await onceLossShows(this.#admission.acquire({
      ...request,
      connection,
      findTrusted: () => muxer == null ? undefined : this.#findTrusted(connection, request, remembered)
    }))
    const { isOverLimit, trusted } = permit

    try {
      // it may have waited
      this.#throwIfClosing(connection)

      if (muxer == null || isOverLimit) {
        return await this.#openFull({ ...request, connection, permit }, protocols)
      }

      const opening = { ...request, connection, muxer, permit }

      return await (trusted == null ? this.#openUnknown(opening) : this.#openStream('optimistic', opening, trusted))
    } catch (err) {
      if (muxer == null || !(err instanceof UnsuitedMuxerError)) {
        throw err
      }

      this.#log('leaving streams of connection %s to libp2p - %e', connection.id, err)
      this.#unsuited.add(muxer)
    } finally {
      permit.release()
    }

    return this.open(connection, request)
  }

  /**
   * What is opened now would not be waited for
   */
  #throwIfClosing (connection: Connection): void {
    if (this.#isClosing(connection)) {
      throw new ConnectionClosedError(`Connection ${connection.id} is being closed`)
    }
  }

  /**
   * The muxer of the connection, where the opener can use it
   */
  #findMuxer (connection: Connection, { protocols, options, settings }: Request): StreamMuxer | undefined {
    const isFull = options.negotiateFully === true || protocols.some(protocol => optionFor(settings, 'negotiation', protocol) === 'full')
    const muxer = isFull ? undefined : getMuxer(connection)

    if (muxer?.status === 'open' && !this.#unsuited.has(muxer)) {
      return muxer
    }
  }

  /**
   * The one of the protocols that the peer is taken to speak, and that libp2p would
   * select: programs that know nothing of this get no other one because it is known
   */
  #findTrusted (connection: Connection, { protocols, settings, isIntercepted }: Request, remembered: Set<string> | undefined): string | undefined {
    const [first = ''] = protocols
    const isTaken = !this.#known.hasRefused(connection, first)

    if (isTaken && protocols.length === 1 && optionFor(settings, 'negotiation', first) === 'always') {
      return first
    }

    if (isTaken && remembered?.has(first) === true && this.#known.isPending(connection)) {
      return first
    }

    return this.#known.firstChoice(connection, isIntercepted ? [first] : protocols)
  }

  /**
   * What the peer said on an earlier connection, as long as it has not said more on
   * this one
   */
  async #findRemembered (connection: Connection): Promise<Set<string> | undefined> {
    this.#known.remember()

    if (this.#known.isPending(connection)) {
      return this.#known.remembered(connection)
    }
  }

  /**
   * The peer is not taken to speak any of the protocols
   */
  async #openUnknown (opening: OpeningOnMuxer): Promise<Stream> {
    const { connection, protocols } = opening

    if (!this.#known.isPending(connection)) {
      return this.#openFull(opening, protocols)
    }

    const stream = await this.#openEarly(opening)

    if (stream != null) {
      return stream
    }

    const others = protocols.slice(1)
    const trusted = opening.isIntercepted ? undefined : this.#known.firstChoice(connection, others)

    return trusted == null ? this.#openFull(opening, others) : this.#openStream('optimistic', opening, trusted)
  }

  /**
   * Let libp2p negotiate the protocols
   */
  async #openFull ({ connection, options, settings, permit }: Opening, protocols: string[]): Promise<Stream> {
    this.#report('full', connection, protocols, options)

    const { negotiationTimeout, maxStreamsPerProtocol } = settings
    const { maxOutboundStreams } = options
    let { signal } = options

    if (signal == null && negotiationTimeout != null) {
      signal = AbortSignal.timeout(negotiationTimeout)
      setMaxListeners(Infinity, signal)
    }

    const muxer = getMuxer(connection)

    if (muxer != null) {
      watchLosses(muxer)
    }

    const sentAt = performance.now()
    const stream = await this.#negotiateFull(connection, protocols, {
      ...options,
      signal,
      // what there is room for is not for libp2p to refuse. Otherwise it has the last word:
      // it counts when it has negotiated, and by then there may be one less.
      maxOutboundStreams: permit.isOverLimit ? maxOutboundStreams ?? maxStreamsPerProtocol : Infinity
    })

    // middleware may have replaced it
    const muxedStream = connection.streams.find(({ id }) => id === stream.id) ?? stream
    const protocol = protocols.find(protocol => protocol === muxedStream.protocol)

    if (muxer != null) {
      watchLoss(muxedStream)
    }

    onceClosed(muxedStream, permit.bind(protocol ?? protocols[0] ?? ''))
    this.#known.heard(connection)

    if (protocol != null) {
      this.#known.confirmed(connection, protocol)
    }

    this.#negotiations.echoed(connection, sentAt)
    this.#metrics.opened('full', connection)

    return stream
  }

  async #negotiateFull (connection: Connection, protocols: string[], options: OpenStreamOnOptions): Promise<Stream> {
    try {
      return await abortable(this.#newStream(connection, protocols, options), options.signal)
    } catch (reason) {
      const err = toError(reason)

      if (HANDSHAKE_ERRORS.includes(err.name)) {
        this.#metrics.failed(err)
      }

      if (err.name === 'UnsupportedProtocolError') {
        this.#known.heard(connection)
      }

      throw err
    }
  }

  /**
   * Identify may still be on its way: try the first protocol. Returns undefined if
   * the peer does not speak it, or rather one of the others.
   */
  async #openEarly (opening: OpeningOnMuxer): Promise<Stream | undefined> {
    const [protocol = '', ...others] = opening.protocols
    const preferred = opening.isIntercepted ? [] : others

    try {
      return await this.#openStream('early', opening, protocol, async stream => {
        await this.#negotiations.confirm(opening, stream, preferred)
        opening.permit.negotiated()
      })
    } catch (err: any) {
      if (others.length === 0 || err.name !== 'UnsupportedProtocolError') {
        throw err
      }
    }
  }

  /**
   * By default the peer is taken to speak the protocol: the stream sends the handshake
   * with the first write
   */
  async #openStream (path: OpenPath, opening: OpeningOnMuxer, protocol: string, negotiate: OutboundStreamInit['negotiate'] = stream => { this.#negotiations.trust(opening, stream) }): Promise<Stream> {
    const { connection, muxer, options, permit } = opening

    this.#report(path, connection, [protocol], options)

    const stream = await openOutboundStream(this.#components, {
      connection,
      muxer,
      protocol,
      options,
      negotiate,
      bind: () => permit.bind(protocol)
    })

    this.#metrics.opened(path, connection)

    return stream
  }

  #report (path: OpenPath, connection: Connection, protocols: string[], options: OpenStreamOnOptions): void {
    this.#log.trace('opening a stream of %s to %p: %s', protocols, connection.remotePeer, path)
    options.onProgress?.(new CustomProgressEvent<OpenStreamEvent>(`stream-opener:${path}`, { connection, protocols }))
  }
}
