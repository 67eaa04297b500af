/**
 * What the service does for bulk streams
 */
import { AbortError, NotStartedError, setMaxListeners } from '@libp2p/interface'
import { AddressDials } from './dial/address-dials.ts'
import { readTarget } from './dial/addresses.ts'
import { Connector } from './dial/connector.ts'
import { endWith } from '../compat/quic/lost-streams.ts'
import { turnsOutLost } from './lost-connection.ts'
import { ReferenceCounts } from './dial/reference-counts.ts'
import { readBulkOptions, readSessionOptions } from './options.ts'
import { Session } from './session/session.ts'
import { withErrors } from '../util/to-error.ts'
import { withSignal } from './with-signal.ts'
import type { Connected, ConnectInit } from './dial/connector.ts'
import type { BulkSession, BulkSessionOptions, BulkStream, BulkStreamOptions, BulkStreams } from './types.ts'
import type { OpenStreamOnOptions, StreamOpenerComponents } from '../types.ts'
import type { Connection, Logger, PeerId, Startable, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

export interface BulkOpenerInit {
  log: Logger

  newStreamOn(connection: Connection, protocols: string[], options: OpenStreamOnOptions): Promise<Stream>
}

/**
 * Who is meant, where that is said and is right - if it is not, libp2p says so
 */
function namedPeer (target: PeerId | Multiaddr | Multiaddr[]): PeerId | undefined {
  try {
    return readTarget(target).peer
  } catch {}
}

export class BulkOpener implements BulkStreams, Startable {
  #stopping?: AbortController
  readonly #components: StreamOpenerComponents
  readonly #log: Logger
  readonly #newStreamOn: BulkOpenerInit['newStreamOn']
  readonly #references: ReferenceCounts
  readonly #dials: AddressDials
  readonly #connector: Connector
  readonly #sessions = new Set<Session>()

  constructor (components: StreamOpenerComponents, { log, newStreamOn }: BulkOpenerInit) {
    this.#components = components
    this.#log = log
    this.#newStreamOn = async (...args) => withErrors(newStreamOn(...args))
    this.#references = new ReferenceCounts(log)
    this.#dials = new AddressDials(components, this.#references)
    this.#connector = new Connector(components, this.#dials, this.#references, log)
  }

  start (): void {
    this.#stopping = new AbortController()
    setMaxListeners(Infinity, this.#stopping.signal)
  }

  async stop (): Promise<void> {
    this.#stopping?.abort(new AbortError('The stream opener was stopped'))
    this.#stopping = undefined
    this.#dials.stop()

    await Promise.all([...this.#sessions].map(async session => session.abort()))
  }

  /**
   * Whether the connection was dialled for a bulk stream and is closed when that has
   * done with it
   */
  hasDialled (connection: Connection): boolean {
    return this.#references.has(connection)
  }

  /**
   * While there are such connections: another one, open and direct, for streams that
   * are not bulk streams
   */
  findOther (peer: PeerId | Multiaddr | Multiaddr[]): Connection | undefined {
    if (this.#references.size === 0) {
      return
    }

    const peerId = namedPeer(peer)

    if (peerId == null) {
      return
    }

    return this.#components.connectionManager.getConnections(peerId)
      .findLast(connection => connection.status === 'open' && connection.direct && connection.limits == null && !this.#references.has(connection))
  }

  /**
   * If the connection was dialled for a bulk stream, keep it open while this other
   * stream is opened and as long as it is open
   */
  async keepOpen (connection: Connection, open: () => Promise<Stream>): Promise<Stream> {
    const user = {}

    this.#references.retain(connection, user)

    try {
      const stream = await open()
      this.#references.retainFor(stream, connection)

      return stream
    } finally {
      void this.#references.release(connection, user)
    }
  }

  async openBulkStream (peer: PeerId | Multiaddr | Multiaddr[], protocols: string | string[], options: BulkStreamOptions = {}): Promise<BulkStream> {
    const request = readBulkOptions(protocols, options, this.#components.transportManager)
    const target = readTarget(peer)

    return this.#whileStarted(options.signal, async signal => this.#open({
      target,
      choice: request.choice,
      reuse: request.reuse,
      user: {},
      signal,
      onProgress: options.onProgress
    }, request.protocols, options))
  }

  async openBulkSession (peer: PeerId | Multiaddr | Multiaddr[], protocols: string | string[], options: BulkSessionOptions = {}): Promise<BulkSession> {
    const request = readSessionOptions(protocols, options, this.#components.transportManager)
    const { signal, onProgress, ...streamOptions } = options

    const session = new Session({
      ...request,
      target: readTarget(peer),
      connector: this.#connector,
      references: this.#references,
      log: this.#log,
      options: streamOptions,
      openStream: async (connection, options) => this.#newStreamOn(connection, request.protocols, options),
      onClosed: session => { this.#sessions.delete(session) }
    })

    return this.#whileStarted(signal, async signal => {
      this.#sessions.add(session)

      try {
        await session.connect({ signal, onProgress })
      } catch (err) {
        void session.abort()

        throw err
      }

      return session
    })
  }

  async #open (init: ConnectInit, protocols: string[], options: BulkStreamOptions): Promise<BulkStream> {
    for (let lost = 0; ; lost++) {
      const connected = await this.#connector.connect(init)

      try {
        return await this.#openOn(connected, protocols, options)
      } catch (err: any) {
        if (lost > 0 || !await turnsOutLost(connected.connection, err, init.signal) || init.signal.aborted) {
          throw err
        }

        this.#connector.giveUp(connected.connection)
        this.#log('%p lost connection %s while a bulk stream was opened, trying another one - %e', connected.connection.remotePeer, connected.connection.id, err)
      } finally {
        void this.#references.release(connected.connection, init.user)
      }
    }
  }

  async #openOn ({ connection, transport, fellBack, reason, dialled }: Connected, protocols: string[], options: BulkStreamOptions): Promise<BulkStream> {
    const stream = await this.#newStreamOn(connection, protocols, options)

    endWith(connection, stream)

    if (dialled) {
      this.#references.forget(connection)
    } else {
      this.#references.retainFor(stream, connection)
    }

    const { encryption, multiplexer } = connection

    return { stream, connection, transport, encryption, multiplexer, fellBack, reason }
  }

  async #whileStarted <T> (signal: AbortSignal | undefined, fn: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#stopping == null) {
      throw new NotStartedError('The stream opener is not started')
    }

    return withErrors(withSignal([signal, this.#stopping.signal], fn))
  }
}
