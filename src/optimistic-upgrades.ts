/**
 * Upgrades connections that the node dials in fewer round trips: where a peer is taken to
 * speak an encrypter, the encrypter's first message leaves together with the handshake of
 * multistream-select, and where it is taken to speak a muxer, so does the first frame.
 *
 * If it does not confirm the encrypter the address is dialled once more, and libp2p
 * negotiates.
 *
 * Peers that agree on the muxer later than on the encrypter, as rust-libp2p does, are not
 * waited for with `'always'` either. One that does not speak it closes the connection, as it
 * has been handed out by then. A reconnect, and the first answer:
 *
 * ```
 *             node.dialProtocol()                              with resume
 *
 *   dialer                     listener           dialer                     listener
 *     │ connect                    │                │ connect                    │
 *     │◀──────────────────────────▶│                │◀──────────────────────────▶│
 *     │ /noise?                    │                │ /noise? + noise            │
 *     ├───────────────────────────▶│                ├───────────────────────────▶│
 *     │                     /noise │                │             /noise + noise │
 *     │◀───────────────────────────┤                │◀───────────────────────────┤
 *     │ noise                      │                │ noise + /echo? + request   │
 *     ├───────────────────────────▶│                ├───────────────────────────▶│
 *     │                      noise │                │             /echo + answer │
 *     │◀───────────────────────────┤                │◀───────────────────────────┤
 *     │ noise + /echo?             │                ▼ three round trips
 *     ├───────────────────────────▶│
 *     │                      /echo │
 *     │◀───────────────────────────┤
 *     │ request                    │
 *     ├───────────────────────────▶│
 *     │                     answer │
 *     │◀───────────────────────────┤
 *     ▼ five round trips
 * ```
 */
import { DialError } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { CODE_P2P } from '@multiformats/multiaddr'
import { FIRST_FLIGHT_TIMEOUT, FIRST_MESSAGE_PATIENCE } from './constants.ts'
import { isHookable } from './compat/muxed-stream.ts'
import { closeSocket, leavesSocketsOpen } from './compat/websocket-close.ts'
import { OutboundUpgrades } from './compat/outbound-upgrades.ts'
import { Selection } from './negotiation/selection.ts'
import { TrustedUpgrades } from './negotiation/trusted-upgrades.ts'
import { optionFor } from './options.ts'
import { transportOf } from './transport-of.ts'
import { Deadlines } from './util/deadlines.ts'
import { toError } from './util/to-error.ts'
import { addUnconfirmed } from './util/unconfirmed.ts'
import type { HookableConnection, HookableStream } from './compat/muxed-stream.ts'
import type { OutboundOptions, UpgradeOutbound } from './compat/outbound-upgrades.ts'
import type { Metrics } from './metrics.ts'
import type { OptimisticNegotiationInit } from './negotiation/optimistic-negotiation.ts'
import type { Settings } from './options.ts'
import type { Negotiation, StreamOpenerComponents } from './types.ts'
import type { Connection, Logger, MessageStream, MultiaddrConnection, PeerId, SecuredConnection, StreamCloseEvent, Transport } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

type UpgradeComponents = Pick<StreamOpenerComponents, 'connectionProtector' | 'peerStore' | 'transportManager' | 'upgrader'>

type DialOptions = Parameters<Transport['dial']>[1]

/**
 * Where a round trip is saved, and was seen to be
 */
const TRANSPORTS = ['tcp', 'ws', 'wss']

/**
 * Nothing is held back on what is not a stream of a muxer
 */
const NOTHING_HELD: OptimisticNegotiationInit['held'] = {
  muxer: { status: 'open' },
  earlyWrites: 'all',
  seesEnd: () => true,
  afterEcho: async () => {}
}

interface Attempt {
  options: OutboundOptions
  muxing?: Selection
}

function peerOf (maConn: MultiaddrConnection): PeerId | undefined {
  const id = maConn.remoteAddr.getComponents().findLast(({ code }) => code === CODE_P2P)?.value

  return id == null ? undefined : peerIdFromString(id)
}

function abort (maConn: MultiaddrConnection, err: Error): void {
  maConn.abort(err)

  if (leavesSocketsOpen(transportOf(maConn.remoteAddr))) {
    closeSocket(maConn)
  }
}

export class OptimisticUpgrades {
  readonly #deadlines = new Deadlines()
  readonly #attempts = new WeakMap<MessageStream, Attempt>()
  readonly #components: UpgradeComponents
  readonly #settings: Settings
  readonly #log: Logger
  readonly #metrics: Metrics
  readonly #trusted: TrustedUpgrades
  readonly #upgrades: OutboundUpgrades

  constructor (components: UpgradeComponents, settings: Settings, log: Logger, metrics: Metrics) {
    this.#components = components
    this.#settings = settings
    this.#log = log
    this.#metrics = metrics
    this.#trusted = new TrustedUpgrades(components.peerStore, log)
    this.#upgrades = new OutboundUpgrades(components.upgrader, {
      upgrade: async (...args) => this.#upgrade(...args),
      onSecured: (...args) => { this.#onSecured(...args) }
    })
  }

  start (): void {
    // what it sends and gets is between libp2p and the socket
    if (this.#components.connectionProtector == null) {
      this.#upgrades.start()
    }
  }

  stop (): void {
    this.#upgrades.stop()
    // dials that are under way have a signal
    this.#deadlines.stop()
  }

  async #upgrade (maConn: MultiaddrConnection, options: OutboundOptions, stock: UpgradeOutbound): Promise<Connection> {
    if (options.skipEncryption === true || options.initiator != null || !TRANSPORTS.includes(transportOf(maConn.remoteAddr))) {
      return stock(maConn, options)
    }

    const { resume } = this.#settings
    const peer = peerOf(maConn)
    const target = peer ?? maConn.remoteAddr
    const encrypters = [...this.#components.upgrader.getConnectionEncrypters().keys()]
    const remembered = resume && peer != null ? await this.#trusted.remembered(peer, encrypters) : undefined
    const encrypter = this.#choose(target, encrypters, remembered)

    if (encrypter != null && maConn.status === 'open' && options.signal?.aborted !== true && isHookable(maConn)) {
      return await this.#upgradeWith(encrypter, peer, maConn, options, stock) ?? this.#dialAgain(maConn, options)
    }

    const connection = await stock(maConn, options)
    const { encryption = '', multiplexer = '', remotePeer } = connection

    this.#trusted.confirmed(target, encryption)
    this.#trusted.confirmed(remotePeer, multiplexer)

    if (resume && encryption !== remembered && encrypters.includes(encryption)) {
      this.#trusted.remember(remotePeer, encrypters, encryption)
    }

    return connection
  }

  /**
   * The encrypter that the peer is taken to speak, and that libp2p would select
   */
  #choose (target: PeerId | Multiaddr, encrypters: string[], remembered: string | undefined): string | undefined {
    const encrypter = remembered ?? encrypters.slice(0, 1).find(encrypter => this.#negotiation(encrypter) === 'always')

    if (encrypter != null && this.#negotiation(encrypter) !== 'full' && !this.#trusted.hasRefused(target, encrypter)) {
      return encrypter
    }
  }

  /**
   * Others dial as well, and have nothing to do with a function that throws or says
   * something else
   */
  #negotiation (protocol: string): Negotiation {
    try {
      return optionFor(this.#settings, 'negotiation', protocol)
    } catch (err) {
      this.#log.error('leaving %s to libp2p - %e', protocol, err)

      return 'full'
    }
  }

  /**
   * Returns undefined if the peer has not confirmed the encrypter, and there is time to
   * dial it again
   */
  async #upgradeWith (encrypter: string, peer: PeerId | undefined, maConn: HookableConnection, options: OutboundOptions, stock: UpgradeOutbound): Promise<Connection | undefined> {
    const { resume } = this.#settings
    const { signal } = options
    const { promise: untilDone, resolve: onDone } = Promise.withResolvers<void>()
    const attempt: Attempt = { options }
    let closed: Error | undefined
    let thrown: unknown

    const onClose = (evt: StreamCloseEvent): void => { closed = toError(evt) }
    maConn.addEventListener('close', onClose)

    const selection = this.#select(maConn, encrypter, {
      patience: FIRST_MESSAGE_PATIENCE,
      timeout: Math.min(this.#settings.negotiationTimeout ?? Infinity, FIRST_FLIGHT_TIMEOUT),
      onDone
    })
    this.#attempts.set(maConn, attempt)
    addUnconfirmed(maConn, untilDone)

    try {
      const connection = await stock(maConn, options)

      // not every encrypter needs an answer of the peer
      await untilDone

      if (!selection.isUnconfirmed) {
        return connection
      }
    } catch (err) {
      thrown = err

      // as without this
      if (!selection.isUnconfirmed) {
        throw err
      }
    } finally {
      maConn.removeEventListener('close', onClose)
      selection.leave()
      attempt.muxing?.leave()
    }

    const err = closed ?? toError(thrown)

    abort(maConn, err)

    if (signal?.aborted !== true || signal.reason?.name === 'TimeoutError') {
      this.#onRefused(peer ?? maConn.remoteAddr, encrypter, err)

      if (resume && peer != null) {
        this.#trusted.forget(peer)
      }
    }

    if (signal?.aborted === true) {
      throw thrown ?? err
    }
  }

  /**
   * A muxer that was not agreed on by the encrypter is negotiated as well. The connection
   * is handed out before the peer confirms it, so nothing but `'always'` will do.
   */
  #onSecured (maConn: MessageStream, { connection: stream, remotePeer, streamMuxer }: SecuredConnection): void {
    const attempt = this.#attempts.get(maConn)
    const [muxer = ''] = this.#components.upgrader.getStreamMuxers().keys()

    if (attempt == null || streamMuxer != null || attempt.options.muxerFactory != null || !isHookable(stream) ||
      this.#trusted.hasRefused(remotePeer, muxer) || this.#negotiation(muxer) !== 'always') {
      return
    }

    attempt.muxing = this.#select(stream, muxer, {
      timeout: this.#settings.negotiationTimeout,
      onRefused: err => { this.#onRefused(remotePeer, muxer, err) }
    })
  }

  #select (stream: HookableStream, protocol: string, init: Partial<OptimisticNegotiationInit>): Selection {
    return new Selection(stream, {
      protocol,
      deadlines: this.#deadlines,
      held: NOTHING_HELD,
      onConfirmed: () => {},
      onRefused: () => {},
      onDone: () => {},
      ...init
    })
  }

  #onRefused (target: PeerId | Multiaddr, protocol: string, err: Error): void {
    this.#trusted.refused(target, protocol)
    this.#metrics.failed(err)
    this.#log.error('%s did not confirm %s, which it was taken to speak - %e', target, protocol, err)
  }

  /**
   * As it was dialled before, but nothing is taken for granted now
   */
  async #dialAgain ({ remoteAddr }: MultiaddrConnection, options: OutboundOptions): Promise<Connection> {
    const { transportManager, upgrader } = this.#components
    const transport = transportManager.dialTransportForMultiaddr(remoteAddr)

    if (transport == null) {
      throw new DialError('The node has no transport for the address')
    }

    return transport.dial(remoteAddr, { upgrader, ...options } as DialOptions)
  }
}
