/**
 * What one peer is asked for at a time, over all connections to it, and the calls
 * that wait until there is room for them. Nothing in here is shared with another
 * peer.
 *
 * There are slots for
 *
 * - the open streams of each protocol on each connection
 * - the handshakes whose answer a call is waiting for
 * - the streams that are opened on a connection before the peer has answered
 *   anything on it
 *
 * A call gets all that it needs at once. If it can not it waits for one of those
 * that are taken, and looks again when it is its turn.
 */
import { EARLY, HANDSHAKE } from './call.ts'
import { QueueTimeoutError } from './errors.ts'
import { Permit } from './permit.ts'
import { SlotsOfPeer } from './slots-of-peer.ts'
import { goesBefore } from './slots.ts'
import type { Call, Key, WaitInit } from './call.ts'
import type { Slots, Waiter } from './slots.ts'

export interface PeerLimitsInit {
  /**
   * How many handshakes calls may wait for
   */
  maxNegotiations: number

  /**
   * How many streams of a connection may be opened before the peer has answered
   */
  maxEarlyStreams: number

  /**
   * Called when there is nothing left to hold for the peer
   */
  onUnused(): void
}

interface WaitingCall extends Waiter {
  call: Call

  /**
   * What it waits for
   */
  limit: Limit
  slots: Slots<WaitingCall>
  serve(permit: Permit): void
  fail(err: Error): void
}

interface Limit {
  key: Key
  max: number
}

type Taken = Pick<WaitingCall, 'limit' | 'slots'>

export class PeerLimits {
  readonly #init: PeerLimitsInit
  readonly #slots = new SlotsOfPeer<WaitingCall>()
  readonly #waiting = new Set<WaitingCall>()

  constructor (init: PeerLimitsInit) {
    this.#init = init
  }

  get queued (): number {
    return this.#waiting.size
  }

  get negotiating (): number {
    return this.#slots.negotiating
  }

  /**
   * The streams that are open, or about to be
   */
  get open (): number {
    return this.#slots.open
  }

  /**
   * The streams of the protocol that are open on the connection, or about to be
   */
  openOn (connection: object, protocol: string): number {
    return this.#slots.find(connection, protocol)?.inUse ?? 0
  }

  /**
   * Returns undefined where the call has to wait
   */
  take (call: Call): Permit | undefined {
    const limits = this.#limitsOf(call)

    if (this.#findTaken(call, limits, true) == null) {
      return this.#take(call, limits)
    }
  }

  /**
   * For a call that is not to wait: its stream counts, whether there is room for it
   * or not
   */
  force (call: Call): Permit {
    return this.#take(call, this.#limitsOf(call).filter(({ key }) => typeof key === 'string'))
  }

  /**
   * Wait for what `take` could not give. Rejects with the reason of the signal, a
   * QueueTimeoutError, or what `closed` or `stop` were called with.
   */
  async wait (call: Call, { signal, ...turn }: WaitInit): Promise<Permit> {
    signal?.throwIfAborted()

    const limits = this.#limitsOf(call)
    const taken = this.#findTaken(call, limits, true)

    if (taken == null) {
      return this.#take(call, limits)
    }

    const { promise, resolve, reject } = Promise.withResolvers<Permit>()

    const onAbort = (): void => {
      waiting.fail(signal?.reason)
    }

    const leave = (): void => {
      signal?.removeEventListener('abort', onAbort)
      this.#waiting.delete(waiting)
      waiting.slots.leave(waiting)
    }

    const waiting: WaitingCall = {
      call,
      ...taken,
      ...turn,
      since: 0,
      serve: permit => {
        leave()
        resolve(permit)
      },
      fail: err => {
        leave()
        reject(err)

        // the next one may be allowed more
        this.#serve(waiting.slots)
        this.#checkUnused()
      },
      onTimeout: () => {
        waiting.fail(this.#describeTimeout(waiting))
      }
    }

    this.#waiting.add(waiting)
    signal?.addEventListener('abort', onAbort)
    taken.slots.wait(waiting)
    this.#serve(taken.slots)

    // to return the promise itself would take longer for who came last
    const permit = await promise

    return permit
  }

  /**
   * Calls that wait for the connection may not need what they are waiting for any
   * more
   */
  reconsider (connection: object): void {
    for (const waiting of this.#waitingFor(connection)) {
      this.#reconsider(waiting)
    }
  }

  /**
   * Nothing can be opened on the connection any more: calls that wait for it are
   * rejected with the error
   */
  closed (connection: object, err: Error): void {
    this.#slots.delete(connection)
    this.#reject(this.#waitingFor(connection), err)
  }

  stop (err: Error): void {
    this.#slots.clear()
    this.#reject([...this.#waiting], err)
  }

  #reject (rejected: WaitingCall[], err: Error): void {
    // all of them first, or they would be served one after the other
    for (const waiting of rejected) {
      waiting.slots.leave(waiting)
    }

    for (const waiting of rejected) {
      waiting.fail(err)
    }

    this.#checkUnused()
  }

  #waitingFor (connection: object): WaitingCall[] {
    return [...this.#waiting]
      .filter(({ call }) => call.connection === connection)
      .sort((a, b) => goesBefore(a, b) ? -1 : 1)
  }

  /**
   * What the call needs now
   */
  #limitsOf (call: Call): Limit[] {
    const { protocols, negotiates, early } = call.needs()
    const limits: Limit[] = protocols.map(protocol => ({ key: protocol, max: call.streamLimit(protocol).max }))

    if (negotiates) {
      limits.push({ key: HANDSHAKE, max: this.#init.maxNegotiations })
    }

    if (early) {
      limits.push({ key: EARLY, max: this.#init.maxEarlyStreams })
    }

    return limits
  }

  /**
   * Something of what is needed of which there is none left. Those who come later
   * wait behind those who wait already.
   */
  #findTaken ({ connection }: Call, limits: Limit[], isLast: boolean): Taken | undefined {
    for (const limit of limits) {
      const slots = this.#slots.find(connection, limit.key)

      if (slots != null && (slots.inUse >= limit.max || (isLast && slots.waiting > 0))) {
        return { limit, slots }
      }
    }
  }

  #take ({ connection }: Call, limits: Limit[]): Permit {
    const held = limits.map(({ key }): [Key, () => void] => {
      const slots = this.#slots.take(connection, key)

      return [key, () => { this.#giveBack(connection, key, slots) }]
    })

    return new Permit(held)
  }

  #giveBack (connection: object, key: Key, slots: Slots<WaitingCall>): void {
    slots.giveBack()
    this.#serve(slots)
    this.#slots.tidy(connection, key, slots)
    this.#checkUnused()
  }

  #checkUnused (): void {
    if (this.#slots.isEmpty && this.#waiting.size === 0) {
      this.#init.onUnused()
    }
  }

  #serve (slots: Slots<WaitingCall>): void {
    while (slots.first != null) {
      if (!this.#reconsider(slots.first)) {
        return
      }
    }
  }

  /**
   * Returns false if it goes on waiting for the same
   */
  #reconsider (waiting: WaitingCall): boolean {
    const { call, slots } = waiting
    const limits = this.#limitsOf(call)
    const taken = this.#findTaken(call, limits, false)

    if (taken?.slots === slots) {
      return false
    }

    if (taken == null) {
      waiting.serve(this.#take(call, limits))
      return true
    }

    slots.leave(waiting)
    Object.assign(waiting, taken)
    taken.slots.wait(waiting)

    return true
  }

  #describeTimeout ({ call, limit: { key, max }, slots: { inUse }, timeout }: WaitingCall): QueueTimeoutError {
    switch (key) {
      case HANDSHAKE:
        return new QueueTimeoutError(`The peer answered none of ${inUse} handshakes within ${timeout}ms - it may be overloaded, if it is only slow raise maxNegotiationsPerPeer, which is ${max}, or queueTimeout`)
      case EARLY:
        return new QueueTimeoutError(`The peer answered nothing on the connection within ${timeout}ms, ${inUse} streams were opened on it - it may be overloaded, if it is only slow raise queueTimeout`)
      default:
        return new QueueTimeoutError(`None of the ${inUse} open streams of ${key} was closed within ${timeout}ms - close those that are not needed any more, or raise ${call.streamLimit(key).option}, which is ${max}, if the peer accepts more`)
    }
  }
}
