/**
 * The streams of a session: how they are opened, again where a connection failed,
 * the bytes that go through them, and how they end
 */
import { AbortError, ConnectionClosedError, setMaxListeners } from '@libp2p/interface'
import { REFUSED_DIAL_BACKOFF, SESSION_CLOSE_TIMEOUT } from '../../constants.ts'
import { TransportUnavailableError } from '../../errors.ts'
import { untilNextTurn } from '../../util/next-turn.ts'
import { readCallOptions } from '../../options.ts'
import { abortable, onceClosed } from '../../util/streams.ts'
import { checkOptions } from '../../options.ts'
import { CountedStream } from './counted-stream.ts'
import { Deadline, delay } from '../deadline.ts'
import { endConnection, endStream, untilLossIsKnown } from '../ending.ts'
import { SessionSlots } from './session-slots.ts'
import { endWith } from '../../compat/quic-lost-streams.ts'
import { withErrors } from '../../util/to-error.ts'
import type { ByteCount } from './counted-stream.ts'
import type { BulkSession, BulkSessionStream, BulkSessionStreamOptions, BulkStream } from '../types.ts'
import type { SessionSlotsInit } from './session-slots.ts'
import type { Slot } from './slot.ts'
import type { OpenStreamOnOptions, TransportName } from '../../types.ts'
import type { AbortOptions, Connection, Stream } from '@libp2p/interface'

/**
 * Why a dial failed, where to dial again would not help
 */
const FINAL_ERRORS = ['DialDeniedError', 'NotFoundError', 'TimeoutError', 'UnexpectedPeerError']

export interface SessionInit extends SessionSlotsInit {
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
  readonly #slots: SessionSlots
  readonly #streams = new Set<CountedStream>()
  readonly #total: ByteCount = { sent: 0, received: 0 }
  readonly #controller = new AbortController()
  readonly #hurry = new AbortController()
  #closing?: Promise<number>

  constructor (init: SessionInit) {
    setMaxListeners(Infinity, this.#controller.signal)

    this.#init = init
    this.#slots = new SessionSlots(init)
  }

  get transport (): TransportName {
    return this.#slots.transport
  }

  get connections (): Connection[] {
    return this.#slots.connections
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
    checkOptions(options)

    const merged = { ...this.#init.options, ...options }

    readCallOptions(merged)

    return withErrors(this.#open(merged))
  }

  async close (options: AbortOptions = {}): Promise<number> {
    checkOptions(options)
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

  async #open (options: OpenStreamOnOptions): Promise<BulkStream> {
    for (let lost = 0, refused = 0; ;) {
      const slot = this.#take(options)

      try {
        return await this.#openOn(slot, options)
      } catch (err: any) {
        slot.leave()
        this.#controller.signal.throwIfAborted()
        options.signal?.throwIfAborted()

        if (this.#slots.hasRefused(slot, err)) {
          await this.#afterRefusal(refused++, err, options.signal)
        } else if (!await this.#hasLost(slot, err, options.signal) || lost++ > 0) {
          throw err
        }

        this.#init.log('opening a stream of a bulk session once more - %e', err)
      }
    }
  }

  #take (options: BulkSessionStreamOptions): Slot {
    if (this.#closing != null) {
      throw new ConnectionClosedError('The bulk session is closed')
    }

    return this.#slots.take(options)
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

    return { stream, connection, transport, fellBack, reason: reason ?? (slot.streams > 1 ? this.#slots.limitedBy : undefined) }
  }

  async #hasLost (slot: Slot, err: Error, signal: AbortSignal | undefined): Promise<boolean> {
    if (slot.connected == null) {
      return false
    }

    await untilLossIsKnown(slot.connected.connection, err, signal, this.#controller.signal)
    this.#controller.signal.throwIfAborted()
    signal?.throwIfAborted()

    return this.#slots.hasLost(slot, err)
  }

  /**
   * Wait before the next dial, or go on with the connections that there are
   */
  async #afterRefusal (times: number, err: Error, signal: AbortSignal | undefined): Promise<void> {
    const wait = isFinal(err) ? undefined : REFUSED_DIAL_BACKOFF[times]

    if (wait != null) {
      return delay(wait, signal, this.#controller.signal)
    }

    this.#slots.limit(err)
  }

  async #close (options: AbortOptions): Promise<number> {
    const closed = new AbortError('The bulk session was closed')
    const deadline = new Deadline([options.signal, this.#hurry.signal], options.signal == null ? SESSION_CLOSE_TIMEOUT : undefined)
    const { signal } = deadline
    const connections = this.connections

    this.#controller.abort(closed)
    this.#slots.abort(closed)

    try {
      await Promise.all(this.streams.map(async ({ stream }) => endStream(stream, signal)))

      // until then all who share a dial have taken hold of it
      await untilNextTurn()

      const own = connections.filter(connection => this.#slots.release(connection))
      await Promise.all(own.map(async connection => endConnection(connection, signal)))

      return own.length
    } finally {
      deadline.clear()
      this.#init.onClosed(this)
    }
  }
}
