/**
 * The connections of a session. Each has a slot from when it is dialled until it is
 * lost. The next stream gets a new one, or the one with the fewest streams.
 */
import { isLost } from '../ending.ts'
import { Slot } from './slot.ts'
import type { Target } from '../dial/addresses.ts'
import type { Connected, Connector } from '../dial/connector.ts'
import type { BulkSessionStreamOptions } from '../types.ts'
import type { Leases } from '../dial/leases.ts'
import type { Choice, SessionRequest } from '../options.ts'
import type { TransportName } from '../../types.ts'
import type { Connection, Logger } from '@libp2p/interface'

/**
 * What opening the first stream on a connection fails with if the peer does not
 * want the connection - over QUIC it gets to know of it only after the dial
 */
const REFUSED_ERRORS = ['StreamResetError', 'StreamClosedError', 'UnexpectedEOFError']

export interface SessionSlotsInit extends SessionRequest {
  target: Target
  connector: Connector
  leases: Leases
  log: Logger

  /**
   * Whether no connection will do that is there already
   */
  force: boolean
}

export class SessionSlots {
  readonly #init: SessionSlotsInit
  #slots: Slot[] = []
  #max: number
  #limitedBy?: string

  /**
   * What all further connections have to be like
   */
  #pinned?: Connected

  constructor (init: SessionSlotsInit) {
    this.#init = init
    this.#max = init.maxConnections
  }

  /**
   * What carries the session now, or did last
   */
  get transport (): TransportName {
    return this.#pinned?.transport ?? 'unknown'
  }

  /**
   * Those that are open
   */
  get connections (): Connection[] {
    return this.#open().flatMap(({ connected }) => connected?.connection ?? [])
  }

  /**
   * Why there are not more connections
   */
  get limitedBy (): string | undefined {
    return this.#limitedBy
  }

  /**
   * A place for one more stream
   */
  take (options: BulkSessionStreamOptions): Slot {
    const slots = this.#open()
    const least = slots.reduce<Slot | undefined>((least, slot) => least != null && least.streams <= slot.streams ? least : slot, undefined)

    if (least != null && (least.streams === 0 || slots.length >= this.#max)) {
      return least.join()
    }

    if (least == null) {
      // all are gone, there may be room for as many again
      this.#max = this.#init.maxConnections
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

  /**
   * Whether it was the connection that failed, so that another one may do
   */
  hasLost (slot: Slot, err: Error): boolean {
    const { connected } = slot

    if (connected != null && isLost(connected.connection, err)) {
      this.#giveUp(slot, connected)
    }

    return slot.isLost
  }

  /**
   * Whether the peer did not want the connection, which the session can do without
   */
  hasRefused (slot: Slot, err: Error): boolean {
    const { connected, isExtra, isProven } = slot

    if (!isExtra || isProven) {
      return false
    }

    if (connected != null && REFUSED_ERRORS.includes(err.name)) {
      this.#giveUp(slot, connected)

      return true
    }

    return this.hasLost(slot, err)
  }

  /**
   * Go on with the connections that there are
   */
  limit (err: Error): void {
    this.#max = Math.max(1, this.#open().length)
    this.#limitedBy = `The session goes on with ${this.#max} of ${this.#init.maxConnections} connections: ${err.message}`
    this.#init.log('%s', this.#limitedBy)
  }

  /**
   * End all dials
   */
  abort (reason: Error): void {
    this.#slots.forEach(slot => { slot.abort(reason) })
  }

  /**
   * Returns whether the connection has to be closed now
   */
  release (connection: Connection): boolean {
    return this.#init.leases.release(connection, this)
  }

  /**
   * The slots that are being dialled or whose connection is open
   */
  #open (): Slot[] {
    this.#slots = this.#slots.filter(({ isLost }) => !isLost)

    return this.#slots
  }

  #giveUp (slot: Slot, { connection }: Connected): void {
    slot.lost()
    this.#init.leases.drop(connection, this)
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
}
