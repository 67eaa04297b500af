/**
 * Streams to one peer that stay on the transport that the session has got, on one
 * connection or on several. Each connection has a slot.
 */
import { AbortError, ConnectionClosedError, setMaxListeners } from '@libp2p/interface'
import { REFUSED_DIAL_BACKOFF, SESSION_CLOSE_TIMEOUT } from '../constants.ts'
import { TransportUnavailableError } from '../errors.ts'
import { nextTurn } from '../next-turn.ts'
import { readCallOptions } from '../options.ts'
import { abortable, onceClosed } from '../outbound-stream.ts'
import { CountedStream } from './counted-stream.ts'
import { Deadline, delay } from './deadline.ts'
import { endConnection, endStream, endWith, isLost } from './ending.ts'
import { Slot } from './slot.ts'
import type { Connected, Connector } from './connector.ts'
import type { ByteCount } from './counted-stream.ts'
import type { BulkSession, BulkSessionStream, BulkSessionStreamOptions, BulkStream } from './index.ts'
import type { Leases } from './leases.ts'
import type { Choice, SessionRequest } from './options.ts'
import type { Target } from './addresses.ts'
import type { TransportName } from './transport-of.ts'
import type { OpenStreamOnOptions } from '../index.ts'
import type { AbortOptions, Connection, Logger, Stream } from '@libp2p/interface'

/**
 * Why a dial failed, where to dial again would not help
 */
const FINAL_ERRORS = ['DialDeniedError', 'NotFoundError', 'TimeoutError', 'UnexpectedPeerError']

/**
 * What opening the first stream on a connection fails with if the peer does not
 * want the connection - over QUIC it gets to know of it only after the dial
 */
const REFUSED_ERRORS = ['StreamResetError', 'UnexpectedEOFError']

export interface SessionInit extends SessionRequest {
  target: Target
  connector: Connector
  leases: Leases
  log: Logger

  /**
   * Whether no connection will do that is there already
   */
  force: boolean

  /**
   * What all streams of the session are opened with
   */
  options: OpenStreamOnOptions

  openStream(connection: Connection, options: OpenStreamOnOptions): Promise<Stream>
  onClosed(session: Session): void
}

function isFinal (err: Error): boolean {
  const attempts = err instanceof TransportUnavailableError ? err.attempts : []

  return attempts.length > 0 && attempts.every(({ error }) => FINAL_ERRORS.includes(error.name))
}

export class Session implements BulkSession {
  readonly #init: SessionInit
  readonly #controller = new AbortController()
  readonly #streams = new Set<CountedStream>()
  #slots: Slot[] = []
  #maxSlots: number

  /**
   * Why there are not more connections
   */
  #limitedBy?: string

  /**
   * What all further connections have to be like
   */
  #pinned?: Connected
  readonly #total: ByteCount = { sent: 0, received: 0 }
  readonly #hurry = new AbortController()
  #closing?: Promise<number>

  constructor (init: SessionInit) {
    setMaxListeners(Infinity, this.#controller.signal)

    this.#init = init
    this.#maxSlots = init.maxConnections
  }

  get transport (): TransportName {
    return this.#pinned?.transport ?? 'unknown'
  }

  get connections (): Connection[] {
    return this.#open().flatMap(({ connected }) => connected?.connection ?? [])
  }

  get streams (): BulkSessionStream[] {
    return [...this.#streams]
  }

  get bytesSent (): number {
    return this.#total.sent
  }

  get bytesReceived (): number {
    return this.#total.received
  }

  /**
   * Get the first connection
   */
  async connect (options: BulkSessionStreamOptions): Promise<void> {
    const slot = this.#take(options)

    try {
      await slot.connection(options.signal)
    } finally {
      slot.leave()
    }
  }

  async openStream (options: BulkSessionStreamOptions = {}): Promise<BulkStream> {
    const merged = { ...this.#init.options, ...options }

    readCallOptions(merged)

    for (let lost = 0, refused = 0; ;) {
      const slot = this.#take(merged)

      try {
        return await this.#openOn(slot, merged)
      } catch (err: any) {
        slot.leave()
        this.#controller.signal.throwIfAborted()
        merged.signal?.throwIfAborted()

        if (slot.isExtra && !slot.isProven && this.#hasLost(slot, err, REFUSED_ERRORS)) {
          await this.#afterRefusal(refused++, err, merged.signal)
        } else if (slot.connected == null || !this.#hasLost(slot, err) || lost++ > 0) {
          throw err
        }

        this.#init.log('opening a stream of a bulk session once more - %e', err)
      }
    }
  }

  async close (options: AbortOptions = {}): Promise<number> {
    this.#closing ??= this.#close(options)

    return this.#closing
  }

  /**
   * Close it at once, also if it is being closed already
   */
  async abort (): Promise<number> {
    this.#hurry.abort()

    return this.close()
  }

  /**
   * The slots that are being dialled or whose connection is open
   */
  #open (): Slot[] {
    this.#slots = this.#slots.filter(({ isLost }) => !isLost)

    return this.#slots
  }

  /**
   * A place for one more stream
   */
  #take (options: BulkSessionStreamOptions): Slot {
    if (this.#closing != null) {
      throw new ConnectionClosedError('The bulk session is closed')
    }

    const slots = this.#open()
    const least = slots.reduce<Slot | undefined>((least, slot) => least != null && least.streams <= slot.streams ? least : slot, undefined)

    if (least != null && (least.streams === 0 || slots.length >= this.#maxSlots)) {
      return least.join()
    }

    if (least == null) {
      // all are gone, there may be room for as many again
      this.#maxSlots = this.#init.maxConnections
      this.#limitedBy = undefined
    }

    const slot = new Slot({
      isExtra: least != null,
      connect: async signal => this.#connect(least != null, signal, options),
      onUnused: ({ connection }) => { this.#init.leases.drop(connection, this) }
    })

    this.#slots.push(slot)

    return slot.join()
  }

  async #connect (isExtra: boolean, signal: AbortSignal, { onProgress }: BulkSessionStreamOptions): Promise<Connected> {
    const { connector, target, perStream, force } = this.#init
    const first = perStream ? 'last' : 'first'

    const connected = await connector.connect({
      // the addresses may not say who is there, and it may be somebody else by then
      target: { ...target, peer: target.peer ?? this.#pinned?.connection.remotePeer },
      choice: this.#choose(isExtra),
      reuse: isExtra || force ? 'never' : first,
      holder: this,
      signal,
      onProgress
    })

    if (isExtra && this.#pinned?.fellBack === true) {
      const { fellBack, reason } = this.#pinned

      return { ...connected, fellBack, reason }
    }

    this.#pinned = connected

    return connected
  }

  /**
   * The transport that it has been on comes first from then on
   */
  #choose (isExtra: boolean): Choice {
    const { choice } = this.#init
    const last = this.transport

    if (last === 'unknown') {
      return choice
    }

    if (isExtra) {
      return { ...choice, transports: [last], scope: this.#pinned?.fellBack === true ? undefined : choice.scope, fallback: 'none' }
    }

    const [first] = choice.transports
    const isWanted = first === 'any' ? last !== 'relay' : choice.transports.includes(last)

    return isWanted ? { ...choice, transports: [...new Set([last, ...choice.transports])] } : choice
  }

  async #openOn (slot: Slot, options: OpenStreamOnOptions): Promise<BulkStream> {
    const { connection, transport, fellBack, reason } = await slot.connection(options.signal)
    const stream = await abortable(this.#init.openStream(connection, options), this.#controller.signal)
    const { signal } = this.#controller

    // it may have been opened just before
    if (signal.aborted) {
      stream.abort(signal.reason)
      signal.throwIfAborted()
    }

    const counted = new CountedStream(stream, this.#total)

    slot.proven()
    endWith(connection, stream)
    this.#streams.add(counted)

    onceClosed(stream, () => {
      slot.leave()
      this.#streams.delete(counted)
    })

    return { stream, connection, transport, fellBack, reason: reason ?? (slot.streams > 1 ? this.#limitedBy : undefined) }
  }

  /**
   * Whether it was the connection that failed, so that another one may do
   */
  #hasLost (slot: Slot, err: Error, errors: string[] = []): boolean {
    const { connected } = slot

    if (connected != null && (isLost(connected.connection, err) || errors.includes(err.name))) {
      slot.lost()
      this.#init.leases.drop(connected.connection, this)
    }

    return slot.isLost
  }

  /**
   * Wait before the next dial, or go on with the connections that there are
   */
  async #afterRefusal (times: number, err: Error, signal: AbortSignal | undefined): Promise<void> {
    const wait = isFinal(err) ? undefined : REFUSED_DIAL_BACKOFF[times]

    if (wait != null) {
      return delay(wait, signal, this.#controller.signal)
    }

    this.#maxSlots = Math.max(1, this.#open().length)
    this.#limitedBy = `The session goes on with ${this.#maxSlots} of ${this.#init.maxConnections} connections: ${err.message}`
    this.#init.log('%s', this.#limitedBy)
  }

  async #close (options: AbortOptions): Promise<number> {
    const { leases, onClosed } = this.#init
    const closed = new AbortError('The bulk session was closed')
    const deadline = new Deadline([options.signal, this.#hurry.signal], options.signal == null ? SESSION_CLOSE_TIMEOUT : undefined)
    const { signal } = deadline
    const connections = this.connections

    this.#controller.abort(closed)
    this.#slots.forEach(slot => { slot.abort(closed) })

    try {
      await Promise.all(this.streams.map(async ({ stream }) => endStream(stream, signal)))

      // until then all who share a dial have taken hold of it
      await new Promise<void>(resolve => { nextTurn(resolve) })

      const own = connections.filter(connection => leases.release(connection, this))
      await Promise.all(own.map(async connection => endConnection(connection, signal)))

      return own.length
    } finally {
      deadline.clear()
      onClosed(this)
    }
  }
}
