import { DialError, isPeerId, serviceCapabilities, serviceDependencies } from '@libp2p/interface'
import { raceSignal } from 'race-signal'
import { Admission } from './admission.ts'
import { ConnectionOpener } from './connection-opener.ts'
import { STOP_TIMEOUT } from './constants.ts'
import { GracefulClose } from './graceful-close.ts'
import { Intercept } from './intercept.ts'
import { KnownProtocols } from './negotiation/known-protocols.ts'
import { ListenerGuard } from './compat/listener-guard.ts'
import { Metrics } from './metrics.ts'
import { closeUseless, isMuxerClosed } from './compat/closed-muxers.ts'
import { untilDialsAreForgotten } from './compat/ended-dial.ts'
import { Negotiations } from './negotiation/negotiations.ts'
import { readCallOptions, readProtocols } from './options.ts'
import { OptionalParts } from './optional-parts.ts'
import { isBeforeFirstByte } from './outbound-stream.ts'
import { toError, withErrors } from './util/to-error.ts'
import { transportOf } from './transport-of.ts'
import type { Request } from './admission.ts'
import type { BulkOpener } from './bulk/bulk-opener.ts'
import type { BulkSession, BulkSessionOptions, BulkStream, BulkStreamOptions, BulkStreams } from './bulk/types.ts'
import type { OpenStreamOnOptions, OpenStreamOptions, PeerStatus, StreamOpenerComponents } from './types.ts'
import type { Settings } from './options.ts'
import type { Connection, Logger, NewStreamOptions, PeerId, Startable, Stream } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'

export class StreamOpener implements BulkStreams, Startable {
  #started = false
  #requests = 0
  readonly #components: StreamOpenerComponents
  readonly #connectionManager: ConnectionManager
  readonly #settings: Settings
  readonly #log: Logger
  readonly #metrics: Metrics
  readonly #known: KnownProtocols
  readonly #negotiations: Negotiations
  readonly #admission: Admission
  readonly #intercept: Intercept
  readonly #gracefulClose: GracefulClose
  readonly #guard: ListenerGuard
  readonly #opener: ConnectionOpener
  readonly #optional: OptionalParts

  /**
   * From when it is used for the first time: half of the code is for bulk streams,
   * and a page need not load it before
   */
  #bulk?: BulkOpener

  constructor (components: StreamOpenerComponents, settings: Settings) {
    this.#components = components
    // each look at libp2p's own components is a call
    this.#connectionManager = components.connectionManager
    this.#settings = settings
    this.#log = components.logger.forComponent('libp2p:stream-opener')
    this.#metrics = new Metrics(components.metrics, () => this.#admission.queued)
    this.#known = new KnownProtocols(components, this.#log, connection => { this.#onNews(connection) })
    this.#negotiations = new Negotiations(components, this.#known, this.#log, this.#metrics)
    this.#admission = new Admission(components, { known: this.#known, metrics: this.#metrics, log: this.#log })
    this.#intercept = new Intercept(settings.intercept, async (...args) => this.#openIntercepted(...args), this.#log)
    this.#gracefulClose = new GracefulClose(this.#negotiations)
    this.#guard = new ListenerGuard(components, this.#log)
    this.#opener = new ConnectionOpener(components, {
      known: this.#known,
      negotiations: this.#negotiations,
      admission: this.#admission,
      metrics: this.#metrics,
      log: this.#log,
      isClosing: connection => this.#gracefulClose.isClosing(connection),
      newStream: async (...args) => this.#intercept.newStream(...args)
    })
    this.#optional = new OptionalParts(components, settings, this.#log, this.#metrics)
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
    const connections = this.#connectionManager.getConnections()

    this.#started = true
    this.#known.start(connections)
    this.#admission.start()
    this.#bulk?.start()

    if (this.#settings.resume) {
      this.#known.remember()
    }

    events.addEventListener('connection:open', this.#onConnectionOpen)
    events.addEventListener('connection:close', this.#onConnectionClose)

    const guarding = this.#settings.listenerGuard ? this.#guard.start() : undefined

    connections.forEach(connection => { this.#add(connection) })
    await Promise.all([guarding, this.#optional.start()])
  }

  /**
   * Listeners of this node go first when libp2p stops, and connections with them
   */
  async beforeStop (): Promise<void> {
    await this.#untilSent()
  }

  async stop (): Promise<void> {
    const { events } = this.#components

    // libp2p closes connections at the same time
    await this.#untilSent()

    this.#started = false
    this.#known.stop()
    this.#admission.stop()
    this.#negotiations.stop()
    this.#intercept.stop()
    this.#gracefulClose.stop()
    this.#optional.stop()

    events.removeEventListener('connection:open', this.#onConnectionOpen)
    events.removeEventListener('connection:close', this.#onConnectionClose)
    this.#connectionManager.getConnections().forEach(connection => { this.#guard.delete(connection) })

    await Promise.all([this.#bulk?.stop(), this.#guard.stop()])
  }

  async #untilSent (): Promise<void> {
    const sending = Promise.all(this.#connectionManager.getConnections().map(async connection => this.#negotiations.untilSent(connection)))

    await raceSignal(sending, AbortSignal.timeout(STOP_TIMEOUT)).catch(() => {})
  }

  #onNews (connection: Connection): void {
    this.#admission.find(connection.remotePeer)?.serve()
    this.#negotiations.reconsider(connection)
  }

  #add (connection: Connection): void {
    this.#guard.add(connection)
    this.#gracefulClose.add(connection)
    this.#optional.add(connection)

    if (this.#settings.intercept !== false) {
      this.#intercept.add(connection)
    }
  }

  readonly #onConnectionOpen = ({ detail: connection }: CustomEvent<Connection>): void => {
    // libp2p also announces those that were closed while they were upgraded, and never
    // says that they are gone
    if (connection.status === 'open') {
      this.#add(connection)
    }
  }

  readonly #onConnectionClose = ({ detail: connection }: CustomEvent<Connection>): void => {
    this.#admission.closed(connection)
    this.#intercept.delete(connection)
    this.#gracefulClose.delete(connection)
    this.#optional.delete(connection)
  }

  status (): PeerStatus[]
  status (peerId: PeerId): PeerStatus
  status (peerId?: PeerId): PeerStatus | PeerStatus[] {
    if (peerId == null) {
      return [...this.#connectionManager.getConnectionsMap().keys()].map(peerId => this.status(peerId))
    }

    const limits = this.#admission.find(peerId)
    const connections = this.#connectionManager.getConnections(peerId)

    return {
      peerId,
      open: limits?.open ?? 0,
      negotiating: limits?.negotiating ?? 0,
      queued: limits?.queued ?? 0,
      protocols: this.#known.all(connections),
      connections: connections.filter(({ status }) => status === 'open').map(connection => {
        const { id, encryption, multiplexer } = connection

        return { id, transport: transportOf(connection), encryption, multiplexer }
      })
    }
  }

  async newStream (peer: PeerId | Multiaddr | Multiaddr[], protocols: string | string[], options: OpenStreamOptions = {}): Promise<Stream> {
    const request = this.#read(protocols, options)

    // openConnection would find it as well, but costs a tenth of an open
    const found = isPeerId(peer) && options.onProgress == null ? this.#findConnection(peer) : this.#bulk?.findOther(peer)
    const existing = options.force === true ? undefined : found
    const connection = existing ?? await this.#dial(peer, options)

    try {
      return await this.#openOn(connection, request)
    } catch (reason) {
      const err = toError(reason)

      if (!isBeforeFirstByte(err)) {
        throw err
      }

      this.#log('%p lost connection %s while a stream was opened, trying another one - %e', connection.remotePeer, connection.id, err)
    }

    closeUseless(this.#connectionManager.getConnections(connection.remotePeer), this.#log)

    await untilDialsAreForgotten()

    const other = options.force === true ? undefined : this.#findConnection(connection.remotePeer, connection)

    return withErrors(this.#openOn(other ?? await this.#dial(peer, { ...options, force: true }), request))
  }

  /**
   * What a WebSocket fails with is an event, and libp2p rejects with it
   */
  async #dial (peer: PeerId | Multiaddr | Multiaddr[], options: OpenStreamOptions): Promise<Connection> {
    try {
      return await this.#connectionManager.openConnection(peer, options)
    } catch (reason) {
      throw reason instanceof Error || options.signal?.aborted === true
        ? toError(reason)
        : Object.assign(new DialError('The peer could not be dialled'), { cause: reason })
    }
  }

  /**
   * The connection that openConnection would choose: open, without limits, and of
   * the direct ones the newest. Those of bulk streams are closed under all others.
   */
  #findConnection (peer: PeerId, except?: Connection): Connection | undefined {
    const connections = this.#connectionManager.getConnections(peer)
    const isUsable = (connection: Connection): boolean => connection !== except && connection.status === 'open' && connection.limits == null && !isMuxerClosed(connection)

    return connections.findLast(connection => connection.direct && isUsable(connection) && this.#bulk?.hasDialled(connection) !== true) ??
      connections.findLast(connection => connection.direct && isUsable(connection)) ??
      connections.find(isUsable)
  }

  async openBulkStream (peer: PeerId | Multiaddr | Multiaddr[], protocols: string | string[], options?: BulkStreamOptions): Promise<BulkStream> {
    const bulk = await this.#loadBulk()

    return bulk.openBulkStream(peer, protocols, options)
  }

  async openBulkSession (peer: PeerId | Multiaddr | Multiaddr[], protocols: string | string[], options?: BulkSessionOptions): Promise<BulkSession> {
    const bulk = await this.#loadBulk()

    return bulk.openBulkSession(peer, protocols, options)
  }

  async #loadBulk (): Promise<BulkOpener> {
    const { BulkOpener } = await import('./bulk/bulk-opener.ts')

    if (this.#bulk == null) {
      this.#bulk = new BulkOpener(this.#components, {
        log: this.#log,
        newStreamOn: async (connection, protocols, options) => this.#opener.open(connection, this.#read(protocols, options))
      })

      if (this.#started) {
        this.#bulk.start()
      }
    }

    return this.#bulk
  }

  async newStreamOn (connection: Connection, protocols: string | string[], options: OpenStreamOnOptions = {}): Promise<Stream> {
    const request = this.#read(protocols, options)

    // withErrors would be another turn of the microtask queue
    try {
      return await this.#openOn(connection, request)
    } catch (reason) {
      throw toError(reason)
    }
  }

  #read (protocols: string | string[], options: OpenStreamOnOptions): Request {
    return {
      protocols: readProtocols(protocols),
      settings: readCallOptions(options, this.#settings),
      options,
      isIntercepted: false,
      order: this.#requests++
    }
  }

  async #openIntercepted (connection: Connection, protocols: string[], options: NewStreamOptions = {}): Promise<Stream> {
    return this.#openOn(connection, {
      protocols: [...new Set(protocols)],
      settings: this.#settings,
      options,
      isIntercepted: true,
      order: this.#requests++
    })
  }

  /**
   * One that was dialled for bulk streams stays open for this one, too
   */
  async #openOn (connection: Connection, request: Request): Promise<Stream> {
    return this.#bulk?.hasDialled(connection) === true
      ? this.#bulk.keepOpen(connection, async () => this.#opener.open(connection, request))
      : this.#opener.open(connection, request)
  }
}
