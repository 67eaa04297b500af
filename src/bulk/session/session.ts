/**
 * The streams of a session: how they are opened, again where a connection failed,
 * the bytes that go through them, and how they end
 */
import { AbortError, ConnectionClosedError, setMaxListeners } from '@libp2p/interface'
import delay from 'delay'
import { CONNECTION_CLOSE_TIMEOUT, REFUSED_DIAL_BACKOFF } from '../../constants.ts'
import { TransportUnavailableError } from '../../errors.ts'
import { untilNextTurn } from '../../util/next-turn.ts'
import { checkOptions, readCallOptions } from '../../options.ts'
import { abortable, onceClosed } from '../../util/streams.ts'
import { withErrors } from '../../util/to-error.ts'
import { ConnectionPool } from './connection-pool.ts'
import { CountedStream } from './counted-stream.ts'
import { endStream } from '../ending.ts'
import { endWith } from '../../compat/quic/lost-streams.ts'
import { withSignal } from '../with-signal.ts'
import type { ConnectionPoolInit } from './connection-pool.ts'
import type { ByteCount } from './counted-stream.ts'
import type { PooledConnection } from './pooled-connection.ts'
import type { BulkSession, BulkSessionStream, BulkSessionStreamOptions, BulkStream } from '../types.ts'
import type { OpenStreamOnOptions, TransportName } from '../../types.ts'
import type { AbortOptions, Connection, Stream } from '@libp2p/interface'

/**
 * Why a dial failed, where to dial again would not help
 */
const FINAL_ERRORS = ['DialDeniedError', 'NotFoundError', 'TimeoutError', 'UnexpectedPeerError']

interface SessionInit extends ConnectionPoolInit {
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
  readonly #pool: ConnectionPool
  readonly #streams = new Set<CountedStream>()
  readonly #total: ByteCount = { sent: 0, received: 0 }
  readonly #closed = new AbortController()

  /**
   * Aborts when the end is not to be graceful any more
   */
  readonly #hurry = new AbortController()
  #closing?: Promise<number>

  constructor (init: SessionInit) {
    setMaxListeners(Infinity, this.#closed.signal, this.#hurry.signal)

    this.#init = init
    this.#pool = new ConnectionPool(init)
  }

  get transport (): TransportName {
    return this.#pool.transport
  }

  get encryption (): string | undefined {
    return this.#pool.pinned?.encryption
  }

  get multiplexer (): string | undefined {
    return this.#pool.pinned?.multiplexer
  }

  get connections (): Connection[] {
    return this.#pool.connections
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
    const pooled = this.#pool.acquire(options)

    try {
      await pooled.untilConnected(options.signal)
    } finally {
      pooled.release()
    }
  }

  async openStream (options: BulkSessionStreamOptions = {}): Promise<BulkStream> {
    checkOptions(options)

    const merged = { ...this.#init.options, ...options }

    readCallOptions(merged)

    if (this.#closing != null) {
      throw new ConnectionClosedError('The bulk session is closed')
    }

    return withErrors(withSignal([options.signal, this.#closed.signal], async signal => this.#open(merged, signal)))
  }

  async close (options: AbortOptions = {}): Promise<number> {
    checkOptions(options)

    return withSignal([options.signal], async signal => {
      const hurry = (): void => { this.#hurry.abort(signal.reason) }

      if (signal.aborted) {
        hurry()
      }

      signal.addEventListener('abort', hurry)
      this.#closing ??= this.#close()

      return this.#closing
    }, options.signal == null ? { ms: CONNECTION_CLOSE_TIMEOUT } : undefined)
  }

  /**
   * Close it at once, also if it is being closed already
   */
  async abort (): Promise<number> {
    this.#hurry.abort()

    return this.close()
  }

  /**
   * The signal is that of the session as well. The options have the caller's own, which
   * a stream may have to do with after it was opened.
   */
  async #open (options: OpenStreamOnOptions, signal: AbortSignal): Promise<BulkStream> {
    for (let lost = 0, refused = 0; ;) {
      const pooled = this.#pool.acquire(options)

      try {
        return await this.#openOn(pooled, options, signal)
      } catch (err: any) {
        pooled.release()
        signal.throwIfAborted()

        const failure = await this.#pool.failureOf(pooled, err, signal)
        signal.throwIfAborted()

        if (failure === 'refused') {
          await this.#afterRefusal(refused++, err, signal)
        } else if (failure !== 'lost' || lost++ > 0) {
          throw err
        }

        this.#init.log('opening a stream of a bulk session once more - %e', err)
      }
    }
  }

  async #openOn (pooled: PooledConnection, options: OpenStreamOnOptions, signal: AbortSignal): Promise<BulkStream> {
    const { connection, transport, fellBack, reason } = await pooled.untilConnected(signal)
    const stream = await abortable(this.#init.openStream(connection, options), signal)

    // it may have been opened just before
    if (signal.aborted) {
      stream.abort(signal.reason)
      signal.throwIfAborted()
    }

    const counted = new CountedStream(stream, this.#total)

    pooled.accept()
    endWith(connection, stream)
    this.#streams.add(counted)

    onceClosed(stream, () => {
      pooled.release()
      this.#streams.delete(counted)
    })

    const { encryption, multiplexer } = connection

    return { stream, connection, transport, encryption, multiplexer, fellBack, reason: reason ?? (pooled.references > 1 ? this.#pool.limitedBy : undefined) }
  }

  /**
   * Wait before the next dial, or go on with the connections that there are
   */
  async #afterRefusal (times: number, err: Error, signal: AbortSignal): Promise<void> {
    const wait = isFinal(err) ? undefined : REFUSED_DIAL_BACKOFF[times]

    if (wait != null) {
      return delay(wait, { signal })
    }

    this.#pool.limit(err)
  }

  async #close (): Promise<number> {
    const closed = new AbortError('The bulk session was closed')
    const { signal } = this.#hurry
    const { connections } = this

    this.#closed.abort(closed)
    this.#pool.abort(closed)

    try {
      await Promise.all(this.streams.map(async ({ stream }) => endStream(stream, signal)))

      // until then all who share a dial have retained the connection
      await untilNextTurn()

      return await this.#pool.release(connections, signal)
    } finally {
      this.#init.onClosed(this)
    }
  }
}
