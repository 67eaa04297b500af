/**
 * The connections of a session, each of them from when it is dialled until it is lost.
 * The next stream gets a new one, or the one with the fewest streams.
 */
import { isLost, turnsOutLost } from '../lost-connection.ts'
import { PooledConnection } from './pooled-connection.ts'
import type { Target } from '../dial/addresses.ts'
import type { Connected, Connector } from '../dial/connector.ts'
import type { ReferenceCounts } from '../dial/reference-counts.ts'
import type { Choice, SessionRequest } from '../options.ts'
import type { BulkSessionStreamOptions } from '../types.ts'
import type { TransportName } from '../../types.ts'
import type { Connection, Logger } from '@libp2p/interface'

/**
 * What opening the first stream on a connection fails with if the peer does not want
 * the connection
 */
const REFUSED_ERRORS = ['StreamResetError', 'StreamClosedError', 'UnexpectedEOFError']

export interface ConnectionPoolInit extends SessionRequest {
  target: Target
  connector: Connector
  references: ReferenceCounts
  log: Logger
}

export class ConnectionPool {
  readonly #init: ConnectionPoolInit
  #pooled: PooledConnection[] = []

  /**
   * How many connections there may be, and why not more
   */
  #limit: { max: number, reason?: string }

  /**
   * What all further connections have to be like
   */
  #pinned?: Connected

  constructor (init: ConnectionPoolInit) {
    this.#init = init
    this.#limit = { max: init.maxConnections }
  }

  /**
   * What carries the session now, or did last
   */
  get transport (): TransportName {
    return this.#pinned?.transport ?? 'unknown'
  }

  /**
   * The one that all further ones are to be like
   */
  get pinned (): Connection | undefined {
    return this.#pinned?.connection
  }

  /**
   * Those that are open
   */
  get connections (): Connection[] {
    return this.#usable().flatMap(({ connected }) => connected?.connection ?? [])
  }

  /**
   * Why there are not more connections
   */
  get limitedBy (): string | undefined {
    return this.#limit.reason
  }

  /**
   * A connection for one more stream, to be released when that is closed
   */
  acquire (options: BulkSessionStreamOptions): PooledConnection {
    const pooled = this.#usable()
    const least = pooled.reduce<PooledConnection | undefined>((least, one) => least != null && least.references <= one.references ? least : one, undefined)

    if (least != null && (least.references === 0 || pooled.length >= this.#limit.max)) {
      return least.retain()
    }

    if (least == null) {
      // all are gone, there may be room for as many again
      this.#limit = { max: this.#init.maxConnections }
    }

    return this.#add(least != null, options).retain()
  }

  /**
   * Why no stream could be opened on the connection:
   *
   * - `refused`: the peer did not want the connection, which the session can do without
   * - `lost`: it was the connection that failed, another one may do
   * - `stream`: whatever it was, it would be the same on another one
   */
  async failureOf (pooled: PooledConnection, err: Error, signal: AbortSignal): Promise<'refused' | 'lost' | 'stream'> {
    const { connected, isFurther } = pooled

    if (connected == null) {
      return isFurther ? 'refused' : 'stream'
    }

    const { connection } = connected

    if (isFurther && pooled.state === 'untried' && (REFUSED_ERRORS.includes(err.name) || isLost(connection, err))) {
      this.#giveUp(pooled, connection, 'refused')
    }

    if (pooled.state === 'refused') {
      return 'refused'
    }

    if (await turnsOutLost(connection, err, signal)) {
      this.#init.connector.giveUp(connection)
      this.#giveUp(pooled, connection, 'lost')
    }

    return pooled.state === 'lost' ? 'lost' : 'stream'
  }

  /**
   * Go on with the connections that there are
   */
  limit (err: Error): void {
    const max = Math.max(1, this.#usable().length)
    const reason = `The session goes on with ${max} of ${this.#init.maxConnections} connections: ${err.message}`

    this.#limit = { max, reason }
    this.#init.log('%s', reason)
  }

  /**
   * End all dials
   */
  abort (reason: Error): void {
    this.#pooled.forEach(pooled => { pooled.abort(reason) })
  }

  /**
   * Resolves with how many of the connections were closed: those that nobody else uses
   */
  async release (connections: Connection[], signal: AbortSignal): Promise<number> {
    const closed = await Promise.all(connections.map(async connection => this.#init.references.release(connection, this, { signal })))

    return closed.filter(Boolean).length
  }

  /**
   * Those that are being dialled, or are open
   */
  #usable (): PooledConnection[] {
    this.#pooled = this.#pooled.filter(({ isUsable }) => isUsable)

    return this.#pooled
  }

  #add (isFurther: boolean, options: BulkSessionStreamOptions): PooledConnection {
    const pooled = new PooledConnection({
      isFurther,
      dial: async signal => this.#dial(isFurther, signal, options),
      onUnused: ({ connection }) => { void this.#init.references.release(connection, this) }
    })

    this.#pooled.push(pooled)

    return pooled
  }

  #giveUp (pooled: PooledConnection, connection: Connection, state: 'refused' | 'lost'): void {
    pooled.giveUp(state)
    void this.#init.references.release(connection, this)
  }

  async #dial (isFurther: boolean, signal: AbortSignal, { onProgress }: BulkSessionStreamOptions): Promise<Connected> {
    const { connector, target, reuse } = this.#init

    const connected = await connector.connect({
      // the addresses may not say who is there, and it may be somebody else by then
      target: { ...target, peer: target.peer ?? this.#pinned?.connection.remotePeer },
      choice: this.#choose(isFurther),
      reuse: isFurther ? 'never' : reuse,
      user: this,
      signal,
      onProgress
    })

    if (isFurther && this.#pinned?.fellBack === true) {
      const { fellBack, reason } = this.#pinned

      return { ...connected, fellBack, reason }
    }

    this.#pinned = connected

    return connected
  }

  /**
   * The transport that it has been on comes first from then on
   */
  #choose (isFurther: boolean): Choice {
    const { choice } = this.#init
    const last = this.transport

    if (last === 'unknown') {
      return choice
    }

    if (isFurther) {
      return { ...choice, transports: [last], scope: this.#pinned?.fellBack === true ? undefined : choice.scope, fallback: 'none' }
    }

    const [first] = choice.transports
    const isWanted = first === 'any' ? last !== 'relay' : choice.transports.includes(last)

    return isWanted ? { ...choice, transports: [...new Set([last, ...choice.transports])] } : choice
  }
}
