import { isPeerId, NotStartedError, serviceCapabilities, serviceDependencies, setMaxListeners, TooManyOutboundProtocolStreamsError } from '@libp2p/interface'
import { CustomProgressEvent } from 'progress-events'
import { Admission } from './admission.ts'
import { Intercept } from './intercept.ts'
import { KnownProtocols } from './known-protocols.ts'
import { ListenerGuard } from './listener-guard.ts'
import { Metrics } from './metrics.ts'
import { getMuxer, UnsuitedMuxerError } from './muxer-access.ts'
import { Negotiations } from './negotiations.ts'
import { readCallOptions, readProtocols } from './options.ts'
import { abortable, onceClosed, openOutboundStream } from './outbound-stream.ts'
import type { OpenStreamOnOptions, OpenStreamOptions, PeerStatus, StreamOpenerComponents, StreamOpener as StreamOpenerInterface } from './index.ts'
import type { OpenPath } from './metrics.ts'
import type { Settings } from './options.ts'
import type { OutboundStreamInit } from './outbound-stream.ts'
import type { Permit } from './permit.ts'
import type { Connection, DialTarget, Logger, NewStreamOptions, OpenStreamEvent, PeerId, Startable, Stream, StreamMuxer } from '@libp2p/interface'

/**
 * Errors of connections that have no stream to give, so nothing was written
 */
const BEFORE_FIRST_BYTE = ['ConnectionClosedError', 'MuxerClosedError']

/**
 * What somebody has asked for
 */
interface Request {
  protocols: string[]
  options: OpenStreamOnOptions
  settings: Settings

  /**
   * The lower the earlier it was asked for
   */
  order: number
}

interface Opening extends Request {
  connection: Connection
  permit: Permit
}

interface OpeningOnMuxer extends Opening {
  muxer: StreamMuxer
}

export class StreamOpener implements StreamOpenerInterface, Startable {
  #started = false
  #requests = 0
  readonly #components: StreamOpenerComponents
  readonly #settings: Settings
  readonly #log: Logger
  readonly #metrics: Metrics
  readonly #known: KnownProtocols
  readonly #negotiations: Negotiations
  readonly #admission: Admission
  readonly #intercept: Intercept
  readonly #guard: ListenerGuard
  readonly #unsuited = new WeakSet<StreamMuxer>()

  constructor (components: StreamOpenerComponents, settings: Settings) {
    this.#components = components
    this.#settings = settings
    this.#log = components.logger.forComponent('libp2p:stream-opener')
    this.#metrics = new Metrics(components.metrics, () => this.#admission.queued)
    this.#known = new KnownProtocols(components, this.#log, connection => { this.#admission.reconsider(connection) })
    this.#negotiations = new Negotiations(this.#known, this.#log, this.#metrics)
    this.#admission = new Admission(components, settings, this.#log, this.#metrics)
    this.#intercept = new Intercept(settings.intercept, async (...args) => this.#openIntercepted(...args))
    this.#guard = new ListenerGuard(components, this.#log)
  }

  readonly [Symbol.toStringTag] = 'libp2p-stream-opener'

  readonly [serviceCapabilities]: string[] = [
    'libp2p-stream-opener'
  ]

  readonly [serviceDependencies]: string[] = [
    '@libp2p/identify'
  ]

  isStarted (): boolean {
    return this.#started
  }

  async start (): Promise<void> {
    if (this.#started) {
      return
    }

    const { events } = this.#components

    this.#started = true
    this.#known.start()

    if (this.#settings.resume) {
      this.#known.remember()
    }

    events.addEventListener('connection:open', this.#onConnectionOpen)
    events.addEventListener('connection:close', this.#onConnectionClose)

    if (this.#settings.listenerGuard) {
      await this.#guard.start()
    }
  }

  async stop (): Promise<void> {
    const { events, connectionManager } = this.#components

    this.#started = false
    this.#known.stop()
    this.#admission.stop()
    this.#negotiations.stop()
    this.#intercept.stop()

    events.removeEventListener('connection:open', this.#onConnectionOpen)
    events.removeEventListener('connection:close', this.#onConnectionClose)
    connectionManager.getConnections().forEach(connection => { this.#guard.delete(connection) })

    await this.#guard.stop()
  }

  readonly #onConnectionOpen = ({ detail: connection }: CustomEvent<Connection>): void => {
    this.#guard.add(connection)

    if (this.#settings.intercept !== false) {
      this.#intercept.add(connection)
    }
  }

  readonly #onConnectionClose = ({ detail: connection }: CustomEvent<Connection>): void => {
    this.#admission.closed(connection)
    this.#intercept.delete(connection)
  }

  status (): PeerStatus[]
  status (peerId: PeerId): PeerStatus
  status (peerId?: PeerId): PeerStatus | PeerStatus[] {
    const { connectionManager } = this.#components

    if (peerId == null) {
      return [...connectionManager.getConnectionsMap().keys()].map(peerId => this.status(peerId))
    }

    const limits = this.#admission.find(peerId)

    return {
      peerId,
      open: limits?.open ?? 0,
      negotiating: limits?.negotiating ?? 0,
      queued: limits?.queued ?? 0,
      protocols: this.#known.all(connectionManager.getConnections(peerId))
    }
  }

  async newStream (peer: DialTarget, protocols: string | string[], options: OpenStreamOptions = {}): Promise<Stream> {
    const { connectionManager } = this.#components
    const request = this.#read(protocols, options)

    // openConnection would find it as well, but costs a tenth of an open
    const existing = isPeerId(peer) && options.force !== true && options.onProgress == null ? this.#findConnection(peer) : undefined
    const connection = existing ?? await connectionManager.openConnection(peer, options)

    try {
      return await this.#open(connection, request)
    } catch (err: any) {
      if (!BEFORE_FIRST_BYTE.includes(err.name)) {
        throw err
      }

      this.#log('%p lost connection %s while a stream was opened, trying another one - %e', connection.remotePeer, connection.id, err)
    }

    return this.#open(this.#findConnection(connection.remotePeer, connection) ?? await connectionManager.openConnection(peer, { ...options, force: true }), request)
  }

  /**
   * The connection that openConnection would choose: open, without limits, and of
   * the direct ones the newest
   */
  #findConnection (peer: PeerId, except?: Connection): Connection | undefined {
    const connections = this.#components.connectionManager.getConnections(peer)
      .filter(connection => connection !== except && connection.status === 'open' && connection.limits == null)

    return connections.findLast(({ direct }) => direct) ?? connections[0]
  }

  async newStreamOn (connection: Connection, protocols: string | string[], options: OpenStreamOnOptions = {}): Promise<Stream> {
    return this.#open(connection, this.#read(protocols, options))
  }

  #read (protocols: string | string[], options: OpenStreamOnOptions): Request {
    return {
      protocols: readProtocols(protocols),
      settings: readCallOptions(options, this.#settings),
      options,
      order: this.#requests++
    }
  }

  /**
   * What was opened with `connection.newStream` keeps libp2p's ways: limits that
   * somebody has set are there to be hit, and have the same error
   */
  async #openIntercepted (connection: Connection, protocols: string[], options: NewStreamOptions = {}): Promise<Stream> {
    const mayWait = protocols.every(protocol => this.#admission.ownLimit(protocol, options) == null)

    try {
      return await this.#open(connection, {
        protocols: [...new Set(protocols)],
        settings: mayWait ? this.#settings : { ...this.#settings, queue: false },
        options,
        order: this.#requests++
      })
    } catch (err: any) {
      if (['QueueFullError', 'QueueTimeoutError'].includes(err.name)) {
        throw new TooManyOutboundProtocolStreamsError(err.message)
      }

      throw err
    }
  }

  async #open (connection: Connection, request: Request): Promise<Stream> {
    const { protocols, options, settings } = request

    if (!this.#started) {
      throw new NotStartedError('The stream opener is not started')
    }

    options.signal?.throwIfAborted()

    // libp2p has an error for each of these
    if (connection.status !== 'open' || (connection.limits != null && options.runOnLimitedConnection !== true)) {
      return this.#intercept.newStream(connection, protocols, options)
    }

    const muxer = this.#findMuxer(connection, settings)
    const remembered = muxer != null && settings.resume ? await this.#findRemembered(connection) : undefined
    let trusted: string | undefined

    const { permit, isOverLimit } = await this.#admission.admit({
      ...request,
      connection,
      needs: () => {
        trusted = muxer == null ? undefined : this.#findTrusted(connection, protocols, settings, remembered)

        return {
          protocols: trusted == null ? protocols : [trusted],
          negotiates: trusted == null,
          early: this.#known.isSilent(connection)
        }
      }
    })

    const opening = { ...request, connection, permit }

    try {
      return await (muxer == null || isOverLimit ? this.#openFull(opening, protocols) : this.#openOnMuxer({ ...opening, muxer }, trusted))
    } catch (err) {
      if (muxer == null || !(err instanceof UnsuitedMuxerError)) {
        throw err
      }

      this.#log('leaving streams of connection %s to libp2p - %e', connection.id, err)
      this.#unsuited.add(muxer)
    } finally {
      permit.release()
    }

    return this.#open(connection, request)
  }

  /**
   * The muxer of the connection, where the opener can use it
   */
  #findMuxer (connection: Connection, settings: Settings): StreamMuxer | undefined {
    const muxer = settings.negotiation === 'full' ? undefined : getMuxer(connection)

    if (muxer?.status === 'open' && !this.#unsuited.has(muxer)) {
      return muxer
    }
  }

  /**
   * The first of the protocols that the peer is taken to speak
   */
  #findTrusted (connection: Connection, protocols: string[], { negotiation }: Settings, remembered: Set<string> | undefined): string | undefined {
    const isTaken = (protocol: string): boolean => !this.#known.hasRefused(connection, protocol)

    if (negotiation === 'always' && protocols.length === 1) {
      return protocols.find(isTaken)
    }

    return this.#known.find(connection, protocols) ?? protocols.find(protocol => remembered?.has(protocol) === true && isTaken(protocol) && this.#known.isPending(connection))
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

  async #openOnMuxer (opening: OpeningOnMuxer, trusted: string | undefined): Promise<Stream> {
    const { connection } = opening
    let { protocols } = opening

    if (trusted == null && this.#known.isPending(connection)) {
      const stream = await this.#openEarly(opening)

      if (stream != null) {
        return stream
      }

      protocols = protocols.slice(1)
      trusted = this.#known.find(connection, protocols)
    }

    return trusted == null ? this.#openFull(opening, protocols) : this.#openOptimistic(opening, trusted)
  }

  /**
   * Let libp2p negotiate the protocols
   */
  async #openFull ({ connection, options, settings, permit }: Opening, protocols: string[]): Promise<Stream> {
    this.#report('full', connection, protocols, options)

    const { negotiationTimeout, maxStreamsPerProtocol } = settings
    let { signal } = options

    if (signal == null && negotiationTimeout != null) {
      signal = AbortSignal.timeout(negotiationTimeout)
      setMaxListeners(Infinity, signal)
    }

    const sentAt = performance.now()
    const stream = await this.#negotiateFull(connection, protocols, {
      ...options,
      signal,
      // what there is a slot for is not for libp2p to refuse
      maxOutboundStreams: options.maxOutboundStreams ?? maxStreamsPerProtocol
    })

    // middleware may have replaced it
    const protocol = protocols.find(protocol => protocol === stream.protocol)

    onceClosed(stream, permit.bind(protocol ?? protocols[0] ?? ''))

    if (protocol != null) {
      this.#known.confirmed(connection, protocol)
    }

    this.#negotiations.answered(connection, sentAt)
    this.#metrics.opened('full', connection)

    return stream
  }

  async #negotiateFull (connection: Connection, protocols: string[], options: OpenStreamOnOptions): Promise<Stream> {
    try {
      return await abortable(this.#intercept.newStream(connection, protocols, options), options.signal)
    } catch (err: any) {
      this.#metrics.failed(err)

      if (err.name === 'UnsupportedProtocolError') {
        this.#known.answered(connection)
      }

      throw err
    }
  }

  /**
   * The peer is taken to speak the protocol: return a stream that sends the
   * handshake with the first write
   */
  async #openOptimistic (opening: OpeningOnMuxer, protocol: string): Promise<Stream> {
    return this.#openStream('optimistic', opening, protocol, stream => { this.#negotiations.trust(opening, stream) })
  }

  /**
   * Identify may still be on its way: try the first protocol. Returns undefined if
   * the peer does not speak it, or rather one of the others.
   */
  async #openEarly (opening: OpeningOnMuxer): Promise<Stream | undefined> {
    const [protocol = '', ...others] = opening.protocols

    try {
      return await this.#openStream('early', opening, protocol, async stream => this.#negotiations.confirm(opening, stream, others))
    } catch (err: any) {
      if (others.length === 0 || err.name !== 'UnsupportedProtocolError') {
        throw err
      }
    }
  }

  async #openStream (path: OpenPath, opening: OpeningOnMuxer, protocol: string, negotiate: OutboundStreamInit['negotiate']): Promise<Stream> {
    const { connection, options, permit } = opening

    this.#report(path, connection, [protocol], options)

    const stream = await openOutboundStream(this.#components, {
      ...opening,
      protocol,
      negotiate,
      onClosed: permit.bind(protocol)
    })

    this.#metrics.opened(path, connection)

    return stream
  }

  #report (path: OpenPath, connection: Connection, protocols: string[], options: OpenStreamOnOptions): void {
    this.#log.trace('opening a stream of %s to %p: %s', protocols, connection.remotePeer, path)
    options.onProgress?.(new CustomProgressEvent<OpenStreamEvent>(`stream-opener:${path}`, { connection, protocols }))
  }
}
