import { AbortError, ConnectionClosedError, isPeerId, NotStartedError, serviceCapabilities, serviceDependencies, setMaxListeners, UnsupportedProtocolError } from '@libp2p/interface'
import { raceSignal } from 'race-signal'
import { NEGOTIATION_TIMEOUT } from './constants.ts'
import { HeldFins } from './held-fin.ts'
import { KnownProtocols } from './known-protocols.ts'
import { deliversInOrder, getMuxer, isMuxedStream } from './muxer-access.ts'
import { nextTurn } from './next-turn.ts'
import { OptimisticNegotiation } from './optimistic-negotiation.ts'
import { readCallOptions, readProtocols } from './options.ts'
import { abortable, openOutboundStream } from './outbound-stream.ts'
import type { OpenStreamOnOptions, OpenStreamOptions, StreamOpenerComponents, StreamOpener as StreamOpenerInterface } from './index.ts'
import type { Settings } from './options.ts'
import type { Connection, DialTarget, Logger, NewStreamOptions, PeerId, Startable, Stream, StreamCloseEvent, StreamMuxer } from '@libp2p/interface'

/**
 * Errors of connections that have no stream to give, so nothing was written
 */
const BEFORE_FIRST_BYTE = ['ConnectionClosedError', 'MuxerClosedError']

/**
 * The streams of a muxer can not carry the handshake
 */
class UnsuitedMuxerError extends Error {}

/**
 * What a stream is to be opened on, and how
 */
interface Opening {
  connection: Connection
  muxer: StreamMuxer
  options: NewStreamOptions
  settings: Settings
}

export class StreamOpener implements StreamOpenerInterface, Startable {
  #started = false
  readonly #components: StreamOpenerComponents
  readonly #settings: Settings
  readonly #log: Logger
  readonly #known: KnownProtocols
  readonly #negotiations = new Set<OptimisticNegotiation>()
  readonly #heldFins = new WeakMap<StreamMuxer, HeldFins>()
  readonly #unsuited = new WeakSet<StreamMuxer>()

  constructor (components: StreamOpenerComponents, settings: Settings) {
    this.#components = components
    this.#settings = settings
    this.#log = components.logger.forComponent('libp2p:stream-opener')
    this.#known = new KnownProtocols(components, this.#log)
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

    for (const negotiation of [...this.#negotiations]) {
      negotiation.stop(new AbortError('The stream opener was stopped'))
    }
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

      this.#log('streams of muxer %s can not carry a handshake, leaving connection %s to libp2p', muxer.protocol, connection.id)
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
      protocol = this.#findKnown(connection, protocols)
    }

    if (protocol == null) {
      return this.#openFull(connection, protocols, options, settings)
    }

    return this.#openOptimistic(opening, protocol)
  }

  #findKnown (connection: Connection, protocols: string[]): string | undefined {
    return protocols.find(protocol => this.#known.has(connection, protocol))
  }

  #findTrusted ({ connection, settings }: Opening, protocols: string[]): string | undefined {
    if (settings.negotiation === 'always' && protocols.length === 1) {
      return protocols.find(protocol => !this.#known.hasRefused(connection, protocol))
    }

    return this.#findKnown(connection, protocols)
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

    this.#known.confirmed(connection, stream.protocol)

    if (muxer != null) {
      this.#heldFins.get(muxer)?.answered(sentAt)
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
      negotiate: stream => { this.#negotiate(opening, stream, { isTrusted: () => true }) }
    })
  }

  /**
   * Identify may still be on its way: send the handshake of the first protocol at
   * once, and return the stream as soon as identify names the protocol or the peer
   * confirms it - so neither later than after a full negotiation, nor later than
   * after identify.
   *
   * Returns undefined if it is not to be the first protocol, and there are others.
   */
  async #openEarly (opening: Opening, protocols: string[]): Promise<Stream | undefined> {
    const [protocol = '', ...others] = protocols

    try {
      return await openOutboundStream(this.#components, {
        ...opening,
        protocol,
        negotiate: async stream => this.#negotiateEarly(opening, stream, others)
      })
    } catch (err: any) {
      if (others.length === 0 || err.name !== 'UnsupportedProtocolError') {
        throw err
      }
    }
  }

  async #negotiateEarly (opening: Opening, stream: Stream, others: string[]): Promise<void> {
    const { connection, options } = opening
    const { promise, resolve, reject } = Promise.withResolvers<'identified' | 'confirmed'>()
    let trusted = false

    const onClose = (evt: StreamCloseEvent): void => {
      reject(evt.error ?? new ConnectionClosedError('The stream was closed'))
    }
    stream.addEventListener('close', onClose)

    const onIdentified = (): void => {
      const protocol = this.#findKnown(connection, [stream.protocol, ...others])

      if (protocol === stream.protocol) {
        trusted = true
        resolve('identified')
      } else if (protocol != null) {
        reject(new UnsupportedProtocolError(`The peer speaks ${protocol}`))
      }
    }
    const forgetListener = this.#known.onIdentified(connection, onIdentified)

    try {
      const negotiation = this.#negotiate(opening, stream, {
        isTrusted: () => trusted,
        onConfirmed: () => { resolve('confirmed') }
      })
      negotiation.flush()

      // it may have arrived while the stream was created
      onIdentified()

      if (await raceSignal(promise, options.signal) === 'confirmed') {
        await this.#letHandlerStart(connection, stream.protocol)
      }
    } finally {
      forgetListener()
      stream.removeEventListener('close', onClose)
    }
  }

  /**
   * Does after the echo what libp2p does at both ends, so that it is over at this
   * end when it is over at the other, and the handler runs. The peers of an
   * in-process transport share the event loop, so there it is a matter of turns.
   */
  async #letHandlerStart (connection: Connection, protocol: string): Promise<void> {
    await this.#known.store(connection.remotePeer, protocol)
    await new Promise<void>(resolve => { nextTurn(resolve) })
  }

  /**
   * Not every muxer has to hold them back
   */
  #getHeldFins (muxer: StreamMuxer): HeldFins | undefined {
    let heldFins = this.#heldFins.get(muxer)

    if (heldFins == null && !deliversInOrder(muxer)) {
      heldFins = new HeldFins()
      this.#heldFins.set(muxer, heldFins)
    }

    return heldFins
  }

  #negotiate ({ connection, muxer, settings }: Opening, stream: Stream, { isTrusted, onConfirmed }: { isTrusted(): boolean, onConfirmed?(): void }): OptimisticNegotiation {
    const { protocol } = stream

    if (!isMuxedStream(stream)) {
      throw new UnsuitedMuxerError()
    }

    const negotiation = new OptimisticNegotiation(stream, {
      protocol,
      timeout: settings.negotiationTimeout ?? NEGOTIATION_TIMEOUT,
      holdFin: settings.halfClose === 'immediate'
        ? undefined
        : {
            heldFins: this.#getHeldFins(muxer),
            afterEcho: async () => this.#letHandlerStart(connection, protocol),
            muxer
          },
      onConfirmed: () => {
        if (isTrusted() && !this.#known.has(connection, protocol)) {
          void this.#known.store(connection.remotePeer, protocol)
        }

        this.#known.confirmed(connection, protocol)
        onConfirmed?.()
      },
      onRefused: err => {
        if (isTrusted()) {
          this.#log.error('%p did not confirm %s, which it was taken to speak - %e', connection.remotePeer, protocol, err)
          this.#known.refused(connection, protocol, err)
        }
      },
      onDone: () => {
        this.#negotiations.delete(negotiation)
      }
    })

    this.#negotiations.add(negotiation)

    return negotiation
  }
}
