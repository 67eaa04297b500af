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
import { QueueTimeoutError } from './errors.ts'
import { Permit } from './permit.ts'
import { goesBefore, Slots } from './slots.ts'
import type { Call, Needs, QueueInit } from './call.ts'
import type { Waiter } from './slots.ts'

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
  slots: Slots<WaitingCall>
  serve(permit: Permit): void
  fail(err: Error): void
}

interface ConnectionSlots {
  streams: Map<string, Slots<WaitingCall>>
  early: Slots<WaitingCall>
}

export class PeerLimits {
  readonly #init: PeerLimitsInit
  readonly #negotiations = new Slots<WaitingCall>()
  readonly #connections = new Map<object, ConnectionSlots>()
  readonly #waiting = new Set<WaitingCall>()

  constructor (init: PeerLimitsInit) {
    this.#init = init
  }

  get queued (): number {
    return this.#waiting.size
  }

  get negotiating (): number {
    return this.#negotiations.inUse
  }

  /**
   * The streams that are open, or about to be
   */
  get open (): number {
    let open = 0

    for (const { streams } of this.#connections.values()) {
      for (const { inUse } of streams.values()) {
        open += inUse
      }
    }

    return open
  }

  /**
   * Returns undefined where the call has to wait
   */
  take (call: Call): Permit | undefined {
    const needs = call.needs()

    if (this.#findTaken(call, needs, true) == null) {
      return this.#take(call, needs)
    }
  }

  /**
   * For a call that is not to wait: its stream counts, whether there is room for it
   * or not
   */
  force (call: Call): { permit: Permit, hasRoom: boolean } {
    const needs = { ...call.needs(), negotiates: false, early: false }
    const hasRoom = this.#findTaken(call, needs, false) == null

    return { permit: this.#take(call, needs), hasRoom }
  }

  /**
   * Wait for what `take` could not give. Rejects with the reason of the signal, a
   * QueueTimeoutError, or what `closed` or `stop` were called with.
   */
  async wait (call: Call, { priority, order, timeout, signal }: QueueInit): Promise<Permit> {
    signal?.throwIfAborted()

    const slots = this.#findTaken(call, call.needs(), true)

    if (slots == null) {
      throw new Error('There is nothing to wait for')
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
      slots,
      priority,
      order,
      timeout,
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
    slots.wait(waiting)
    this.#serve(slots)

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
    this.#connections.delete(connection)
    this.#reject(this.#waitingFor(connection), err)
  }

  stop (err: Error): void {
    this.#connections.clear()
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
   * Something of what is needed of which there is none left. Those who come later
   * wait behind those who wait already.
   */
  #findTaken (call: Call, { protocols, negotiates, early }: Needs, isLast: boolean): Slots<WaitingCall> | undefined {
    const connection = this.#connections.get(call.connection)
    const isTaken = (slots: Slots<WaitingCall>, max: number): boolean => slots.inUse >= max || (isLast && slots.waiting > 0)

    for (const protocol of protocols) {
      const slots = connection?.streams.get(protocol)

      if (slots != null && isTaken(slots, call.streamLimit(protocol).max)) {
        return slots
      }
    }

    if (negotiates && isTaken(this.#negotiations, this.#init.maxNegotiations)) {
      return this.#negotiations
    }

    if (early && connection != null && isTaken(connection.early, this.#init.maxEarlyStreams)) {
      return connection.early
    }
  }

  #take ({ connection: key }: Call, needs: Needs): Permit {
    let connection = this.#connections.get(key)

    if (connection == null) {
      connection = { streams: new Map(), early: new Slots() }
      this.#connections.set(key, connection)
    }

    for (const protocol of needs.protocols) {
      let slots = connection.streams.get(protocol)

      if (slots == null) {
        slots = new Slots()
        connection.streams.set(protocol, slots)
      }

      slots.inUse++
    }

    if (needs.negotiates) {
      this.#negotiations.inUse++
    }

    if (needs.early) {
      connection.early.inUse++
    }

    return new Permit(needs, held => { this.#giveBack(key, connection, held) })
  }

  #giveBack (key: object, connection: ConnectionSlots, { protocols, negotiates, early }: Needs): void {
    if (negotiates) {
      this.#negotiations.giveBack()
      this.#serve(this.#negotiations)
    }

    for (const protocol of protocols) {
      const slots = connection.streams.get(protocol)

      if (slots != null) {
        slots.giveBack()
        this.#serve(slots)

        if (slots.inUse === 0) {
          connection.streams.delete(protocol)
        }
      }
    }

    if (early) {
      connection.early.giveBack()
      this.#serve(connection.early)
    }

    // it may have been closed before
    if (connection.streams.size === 0 && connection.early.inUse === 0 && this.#connections.get(key) === connection) {
      this.#connections.delete(key)
    }

    this.#checkUnused()
  }

  #checkUnused (): void {
    if (this.#connections.size === 0 && this.#negotiations.inUse === 0 && this.#waiting.size === 0) {
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
    const needs = call.needs()
    const taken = this.#findTaken(call, needs, false)

    if (taken === slots) {
      return false
    }

    if (taken == null) {
      waiting.serve(this.#take(call, needs))
      return true
    }

    slots.leave(waiting)
    waiting.slots = taken
    taken.wait(waiting)

    return true
  }

  #describeTimeout ({ call, slots, timeout }: WaitingCall): QueueTimeoutError {
    const connection = this.#connections.get(call.connection)
    const protocol = call.needs().protocols.find(protocol => connection?.streams.get(protocol) === slots)

    if (protocol != null) {
      const { max, option } = call.streamLimit(protocol)

      return new QueueTimeoutError(`None of the ${slots.inUse} open streams of ${protocol} was closed within ${timeout}ms - close those that are not needed any more, or raise ${option}, which is ${max}, if the peer accepts more`)
    }

    if (slots === this.#negotiations) {
      return new QueueTimeoutError(`The peer answered none of ${slots.inUse} handshakes within ${timeout}ms - it may be overloaded, if it is only slow raise maxNegotiationsPerPeer, which is ${this.#init.maxNegotiations}, or queueTimeout`)
    }

    return new QueueTimeoutError(`The peer answered nothing on the connection within ${timeout}ms, ${slots.inUse} streams were opened on it - it may be overloaded, if it is only slow raise queueTimeout`)
  }
}
