import { isPeerId, NotStartedError, serviceCapabilities, serviceDependencies, setMaxListeners } from '@libp2p/interface'
import { KnownProtocols } from './known-protocols.ts'
import { getMuxer, UnsuitedMuxerError } from './muxer-access.ts'
import { Negotiations } from './negotiations.ts'
import { readCallOptions, readProtocols } from './options.ts'
import { abortable, openOutboundStream } from './outbound-stream.ts'
import type { OpenStreamOnOptions, OpenStreamOptions, StreamOpenerComponents, StreamOpener as StreamOpenerInterface } from './index.ts'
import type { Opening } from './negotiations.ts'
import type { Settings } from './options.ts'
import type { Connection, DialTarget, Logger, NewStreamOptions, PeerId, Startable, Stream, StreamMuxer } from '@libp2p/interface'

/**
 * Errors of connections that have no stream to give, so nothing was written
 */
const BEFORE_FIRST_BYTE = ['ConnectionClosedError', 'MuxerClosedError']

export class StreamOpener implements StreamOpenerInterface, Startable {
  #started = false
  readonly #components: StreamOpenerComponents
  readonly #settings: Settings
  readonly #log: Logger
  readonly #known: KnownProtocols
  readonly #negotiations: Negotiations
  readonly #unsuited = new WeakSet<StreamMuxer>()

  constructor (components: StreamOpenerComponents, settings: Settings) {
    this.#components = components
    this.#settings = settings
    this.#log = components.logger.forComponent('libp2p:stream-opener')
    this.#known = new KnownProtocols(components, this.#log)
    this.#negotiations = new Negotiations(this.#known, this.#log)
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

  start (): void {
    if (this.#started) {
      return
    }

    this.#started = true
    this.#known.start()

    if (this.#settings.resume) {
      this.#known.remember()
    }
  }

  stop (): void {
    this.#started = false
    this.#known.stop()

    this.#negotiations.stop()
  }

  async newStream (peer: DialTarget, protocols: string | string[], options: OpenStreamOptions = {}): Promise<Stream> {
    const { connectionManager } = this.#components
    const requested = readProtocols(protocols)
    const settings = readCallOptions(options, this.#settings)

    // openConnection would find it as well, but costs a tenth of an open
    const existing = isPeerId(peer) && options.force !== true && options.onProgress == null ? this.#findConnection(peer) : undefined
    const connection = existing ?? await connectionManager.openConnection(peer, options)

    try {
      return await this.#open(connection, requested, options, settings)
    } catch (err: any) {
      if (!BEFORE_FIRST_BYTE.includes(err.name)) {
        throw err
      }

      this.#log('%p lost connection %s while a stream was opened, trying another one - %e', connection.remotePeer, connection.id, err)
    }

    const other = this.#findConnection(connection.remotePeer, connection) ?? await connectionManager.openConnection(peer, { ...options, force: true })

    return this.#open(other, requested, options, settings)
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
    return this.#open(connection, readProtocols(protocols), options, readCallOptions(options, this.#settings))
  }

  async #open (connection: Connection, protocols: string[], options: NewStreamOptions, settings: Settings): Promise<Stream> {
    if (!this.#started) {
      throw new NotStartedError('The stream opener is not started')
    }

    options.signal?.throwIfAborted()

    const muxer = settings.negotiation === 'full' ? undefined : getMuxer(connection)

    // libp2p has an error for each of these, or a way of its own
    if (muxer == null || this.#unsuited.has(muxer) || muxer.status !== 'open' || connection.status !== 'open' || (connection.limits != null && options.runOnLimitedConnection !== true)) {
      return this.#openFull(connection, protocols, options, settings)
    }

    try {
      return await this.#openOnMuxer({ connection, muxer, options, settings }, protocols)
    } catch (err) {
      if (!(err instanceof UnsuitedMuxerError)) {
        throw err
      }

      this.#log('leaving streams of connection %s to libp2p - %e', connection.id, err)
      this.#unsuited.add(muxer)

      return this.#openFull(connection, protocols, options, settings)
    }
  }

  async #openOnMuxer (opening: Opening, protocols: string[]): Promise<Stream> {
    const { connection, options, settings } = opening

    if (settings.resume) {
      this.#known.remember()
    }

    let protocol = this.#findTrusted(opening, protocols) ?? await this.#findRemembered(opening, protocols)

    if (protocol == null && this.#known.isPending(connection)) {
      const stream = await this.#openEarly(opening, protocols)

      if (stream != null) {
        return stream
      }

      protocols = protocols.slice(1)
      protocol = this.#known.find(connection, protocols)
    }

    if (protocol == null) {
      return this.#openFull(connection, protocols, options, settings)
    }

    return this.#openOptimistic(opening, protocol)
  }

  #findTrusted ({ connection, settings }: Opening, protocols: string[]): string | undefined {
    if (settings.negotiation === 'always' && protocols.length === 1) {
      return protocols.find(protocol => !this.#known.hasRefused(connection, protocol))
    }

    return this.#known.find(connection, protocols)
  }

  async #findRemembered ({ connection, settings }: Opening, protocols: string[]): Promise<string | undefined> {
    if (settings.resume && this.#known.isPending(connection)) {
      const remembered = await this.#known.remembered(connection)

      return protocols.find(protocol => remembered.has(protocol) && !this.#known.hasRefused(connection, protocol))
    }
  }

  /**
   * Let libp2p negotiate the protocols
   */
  async #openFull (connection: Connection, protocols: string[], options: NewStreamOptions, { negotiationTimeout }: Settings): Promise<Stream> {
    if (options.signal == null && negotiationTimeout != null) {
      const signal = AbortSignal.timeout(negotiationTimeout)
      setMaxListeners(Infinity, signal)

      options = { ...options, signal }
    }

    const muxer = getMuxer(connection)
    const sentAt = performance.now()
    const stream = await abortable(connection.newStream(protocols, options), options.signal)

    // middleware may have replaced it
    if (protocols.includes(stream.protocol)) {
      this.#known.confirmed(connection, stream.protocol)
    }

    if (muxer != null) {
      this.#negotiations.answered(muxer, sentAt)
    }

    return stream
  }

  /**
   * The peer is known to speak the protocol: return a stream that sends the
   * handshake with the first write
   */
  async #openOptimistic (opening: Opening, protocol: string): Promise<Stream> {
    return openOutboundStream(this.#components, {
      ...opening,
      protocol,
      negotiate: stream => { this.#negotiations.trust(opening, stream) }
    })
  }

  /**
   * Identify may still be on its way: try the first protocol. Returns undefined if
   * the peer does not speak it, or rather one of the others.
   */
  async #openEarly (opening: Opening, protocols: string[]): Promise<Stream | undefined> {
    const [protocol = '', ...others] = protocols

    try {
      return await openOutboundStream(this.#components, {
        ...opening,
        protocol,
        negotiate: async stream => this.#negotiations.confirm(opening, stream, others)
      })
    } catch (err: any) {
      if (others.length === 0 || err.name !== 'UnsupportedProtocolError') {
        throw err
      }
    }
  }
}
