/**
 * What the peer at the other end of each connection is known to speak: what its
 * last identify or identify-push message on the connection said, and what it has
 * echoed to us.
 *
 * The peer store alone does not tell. libp2p also adds to it whatever the peer
 * has opened to us, and a pure client does not handle what it calls.
 */
import { LAST_IDENTIFY_KEY } from '../constants.ts'
import { PeerMetadata } from './peer-metadata.ts'
import { SpokenProtocols } from './spoken-protocols.ts'
import type { Connection, IdentifyResult, Libp2pEvents, Logger, PeerId, PeerStore, TypedEventTarget } from '@libp2p/interface'

export interface KnownProtocolsComponents {
  events: TypedEventTarget<Libp2pEvents>
  peerStore: PeerStore
}

interface ConnectionRecord {
  /**
   * Whether the peer has answered anything
   */
  answered: boolean

  /**
   * Whether an identify message has arrived
   */
  identified: boolean

  spoken: SpokenProtocols

  /**
   * To be called when the next identify message has arrived
   */
  listeners: Set<() => void>

  /**
   * What the peer said on an earlier connection, once it was asked for
   */
  remembered?: Promise<Set<string>>
}

export class KnownProtocols {
  readonly #connections = new Map<Connection, ConnectionRecord>()
  readonly #components: KnownProtocolsComponents
  readonly #log: Logger
  readonly #lastIdentify: PeerMetadata
  readonly #onNews: (connection: Connection) => void

  /**
   * Whether identify messages are stored with the peer, which costs a write to
   * the peer store for each - so not before anybody wants them back
   */
  #remember = false

  /**
   * `onNews` is called when more has become known about the peer of a connection
   */
  constructor (components: KnownProtocolsComponents, log: Logger, onNews: (connection: Connection) => void = () => {}) {
    this.#components = components
    this.#log = log
    this.#onNews = onNews
    this.#lastIdentify = new PeerMetadata(components.peerStore, LAST_IDENTIFY_KEY, log)
  }

  start (connections: Connection[] = []): void {
    connections.forEach(connection => { this.#add(connection) })
    this.#components.events.addEventListener('connection:open', this.#onConnectionOpen)
    this.#components.events.addEventListener('connection:close', this.#onConnectionClose)
    this.#components.events.addEventListener('peer:identify', this.#onIdentify)
  }

  stop (): void {
    this.#components.events.removeEventListener('connection:open', this.#onConnectionOpen)
    this.#components.events.removeEventListener('connection:close', this.#onConnectionClose)
    this.#components.events.removeEventListener('peer:identify', this.#onIdentify)
    this.#connections.clear()
  }

  /**
   * The number of connections that something is held for
   */
  get size (): number {
    return this.#connections.size
  }

  /**
   * The protocol that libp2p's own negotiation is certain to select, which need not
   * be known: the first of them if the peer is known to speak it, or a later one if
   * the last identify message has named all that there is, and none of those before
   */
  firstChoice (connection: Connection, protocols: string[]): string | undefined {
    return this.#connections.get(connection)?.spoken.firstChoice(protocols)
  }

  has (connection: Connection, protocol: string): boolean {
    return this.#connections.get(connection)?.spoken.has(protocol) === true
  }

  hasRefused (connection: Connection, protocol: string): boolean {
    return this.#connections.get(connection)?.spoken.hasRefused(protocol) === true
  }

  /**
   * All that the peer is known to speak on one of its connections
   */
  all (connections: Connection[]): string[] {
    const protocols = connections.flatMap(connection => this.#connections.get(connection)?.spoken.all() ?? [])

    return [...new Set(protocols)].sort()
  }

  /**
   * Whether the peer is yet to answer anything on the connection, so that it may
   * still be setting it up
   */
  isSilent (connection: Connection): boolean {
    return this.#connections.get(connection)?.answered === false
  }

  /**
   * Whether identify may still be on its way - there is no event that says that
   * it has failed, so this can stay true for ever
   */
  isPending (connection: Connection): boolean {
    return this.#connections.get(connection)?.identified === false
  }

  /**
   * Call the listener with the next identify message of the connection - returns
   * a function that takes that back
   */
  onIdentified (connection: Connection, listener: () => void): () => void {
    const record = this.#connections.get(connection)
    record?.listeners.add(listener)

    return () => { record?.listeners.delete(listener) }
  }

  /**
   * Store what identify messages say with the peer, from now on
   */
  remember (): void {
    if (this.#remember) {
      return
    }

    this.#remember = true

    for (const [{ remotePeer }, { identified, spoken }] of this.#connections) {
      if (identified) {
        this.#lastIdentify.store(remotePeer, spoken.all())
      }
    }
  }

  /**
   * What the peer said in the last identify message of an earlier connection
   */
  async remembered (connection: Connection): Promise<Set<string>> {
    const record = this.#connections.get(connection)

    if (record == null) {
      return new Set()
    }

    record.remembered ??= this.#lastIdentify.load(connection.remotePeer)

    return record.remembered
  }

  /**
   * The peer has answered something
   */
  heard (connection: Connection): void {
    const record = this.#connections.get(connection)

    if (record?.answered === false) {
      record.answered = true
      this.#onNews(connection)
    }
  }

  /**
   * The peer confirmed the protocol
   */
  confirmed (connection: Connection, protocol: string): void {
    const record = this.#connections.get(connection)

    if (record == null) {
      return
    }

    const isNews = !record.spoken.has(protocol)
    record.spoken.confirmed(protocol)

    if (isNews) {
      record.answered = true
      this.#onNews(connection)
    }
  }

  /**
   * Tell the peer store what the peer speaks, as connection.newStream does after
   * every negotiation. Identify has done so for what it named.
   */
  async store (peerId: PeerId, protocol: string): Promise<void> {
    try {
      await this.#components.peerStore.merge(peerId, {
        protocols: [protocol]
      })
    } catch (err) {
      this.#log.error('could not store that %p speaks %s - %e', peerId, protocol, err)
    }
  }

  /**
   * The peer did not confirm a protocol that it was taken to speak. Until it says
   * so again nobody takes it to, on any connection.
   *
   * The protocols in the peer store are left alone unless the peer really said
   * no: libp2p tells the topologies of a protocol that the peer is gone when it
   * disappears from there, which an overloaded peer does not deserve.
   */
  refused (connection: Connection, protocol: string, err: Error): void {
    for (const [{ remotePeer }, record] of this.#connections) {
      if (remotePeer.equals(connection.remotePeer)) {
        record.spoken.refused(protocol)
      }
    }

    this.#lastIdentify.forget(connection.remotePeer, protocol)

    if (err.name === 'UnsupportedProtocolError') {
      this.#remove(connection.remotePeer, protocol).catch(err => {
        this.#log.error('could not store that %p does not speak %s - %e', connection.remotePeer, protocol, err)
      })
    }
  }

  async #remove (peerId: PeerId, protocol: string): Promise<void> {
    const { protocols } = await this.#components.peerStore.get(peerId)

    if (protocols.includes(protocol)) {
      await this.#components.peerStore.patch(peerId, {
        protocols: protocols.filter(p => p !== protocol)
      })
    }
  }

  #add (connection: Connection): void {
    this.#connections.set(connection, {
      answered: false,
      identified: false,
      spoken: new SpokenProtocols(),
      listeners: new Set()
    })
  }

  readonly #onConnectionOpen = ({ detail: connection }: CustomEvent<Connection>): void => {
    // libp2p also announces those that were closed while they were upgraded
    if (connection.status === 'open') {
      this.#add(connection)
    }
  }

  readonly #onConnectionClose = (evt: CustomEvent<Connection>): void => {
    this.#connections.delete(evt.detail)
  }

  readonly #onIdentify = (evt: CustomEvent<IdentifyResult>): void => {
    const { connection, protocols, peerId } = evt.detail
    const record = this.#connections.get(connection)

    if (record == null) {
      return
    }

    record.answered = true
    record.identified = true
    record.remembered = undefined

    // fields that are missing from an identify-push message have not changed,
    // https://github.com/libp2p/specs/blob/master/identify/README.md#identifypush
    if (protocols.length > 0) {
      record.spoken.named(protocols)

      if (this.#remember) {
        this.#lastIdentify.store(peerId, record.spoken.all())
      }
    }

    for (const listener of [...record.listeners]) {
      listener()
    }

    this.#onNews(connection)
  }
}
