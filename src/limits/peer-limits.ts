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
 * - the streams that the muxer of a connection is about to be asked for, where it has
 *   a limit of its own
 *
 * A call gets all that it needs at once. If it can not it waits for one of those
 * that are taken, and looks again when it is its turn.
 */
import { EARLY, HANDSHAKE, MUXER } from './call.ts'
import { Permit } from './permit.ts'
import { Queue } from './queue.ts'
import { SlotsOfPeer } from './slots-of-peer.ts'
import { createTimeoutError } from './timeout-error.ts'
import { firstOf } from './turn.ts'
import type { Call, Key, WaitInit } from './call.ts'
import type { WaitingCall } from './queue.ts'
import type { Slots } from './slots.ts'

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

interface Limit {
  key: Key
  max: number
}

export class PeerLimits {
  readonly #init: PeerLimitsInit
  readonly #slots = new SlotsOfPeer<Queue>()

  /**
   * Of each connection, by the kind of its calls
   */
  readonly #queues = new Map<object, Map<string, Queue>>()
  #queued = 0

  constructor (init: PeerLimitsInit) {
    this.#init = init
  }

  get queued (): number {
    return this.#queued
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
  async wait (call: Call, { signal, impatient = false, ...turn }: WaitInit): Promise<Permit> {
    signal?.throwIfAborted()

    const limits = this.#limitsOf(call)
    const taken = this.#findTaken(call, limits, true)

    if (taken == null) {
      return this.#take(call, limits)
    }

    const now = performance.now()
    const slots = this.#slots.get(call.connection, taken.key)
    const since = impatient ? slots.takenAt : now

    if (Math.max(since, slots.givenBackAt) + turn.timeout <= now) {
      this.#slots.tidy(slots)

      throw createTimeoutError(slots, call, turn.timeout, this.#init.maxNegotiations)
    }

    const { promise, resolve, reject } = Promise.withResolvers<Permit>()
    const queue = this.#queueOf(call, slots)

    const onAbort = (): void => {
      this.#giveUp(queue, waiting, signal?.reason)
    }

    const onSettled = (): void => {
      signal?.removeEventListener('abort', onAbort)
      this.#queued--
    }

    const waiting: WaitingCall = {
      ...turn,
      call,
      since,
      serve: permit => {
        onSettled()
        resolve(permit)
      },
      fail: err => {
        onSettled()
        reject(err)
      }
    }

    this.#queued++
    signal?.addEventListener('abort', onAbort)
    queue.join(waiting)
    this.#serve(queue.slots)

    // to return the promise itself would take longer for who came last
    const permit = await promise

    return permit
  }

  /**
   * Calls that wait for the connection may not need what they are waiting for any
   * more
   */
  reconsider (connection: object): void {
    const queues = new Set(this.#queues.get(connection)?.values())
    let queue = firstOf(queues)

    while (queue != null) {
      const goesOn = this.#reconsider(queue)

      if (!goesOn || queue.length === 0) {
        queues.delete(queue)
      }

      queue = firstOf(queues)
    }
  }

  /**
   * The muxer of the connection may have another stream to give
   */
  streamClosed (connection: object): void {
    const slots = this.#slots.find(connection, MUXER)

    if (slots != null && slots.queues.size > 0) {
      slots.givenBackAt = performance.now()
      this.#serve(slots)
    }
  }

  /**
   * Nothing can be opened on the connection any more: calls that wait for it are
   * rejected with the error
   */
  closed (connection: object, err: Error): void {
    this.#slots.delete(connection)
    this.#reject([...this.#queues.get(connection)?.values() ?? []], err)
  }

  stop (err: Error): void {
    this.#slots.clear()
    this.#reject([...this.#queues.values()].flatMap(queues => [...queues.values()]), err)
  }

  #reject (queues: Queue[], err: Error): void {
    for (const waiting of queues.flatMap(queue => queue.clear())) {
      waiting.fail(err)
    }

    this.#checkUnused()
  }

  #giveUp (queue: Queue, waiting: WaitingCall, err: Error): void {
    const { slots } = queue

    // it may have been served in the meantime
    if (queue.leave(waiting)) {
      waiting.fail(err)

      // the next one may be allowed more
      this.#serve(slots)
      this.#checkUnused()
    }
  }

  /**
   * Where calls of its kind wait
   */
  #queueOf ({ connection, kind }: Call, slots: Slots<Queue>): Queue {
    const ofConnection = this.#queues.get(connection) ?? new Map<string, Queue>()
    const existing = ofConnection.get(kind)

    if (existing != null) {
      return existing
    }

    const queue = new Queue({
      slots,
      onTimeout: waiting => {
        this.#giveUp(queue, waiting, createTimeoutError(queue.slots, waiting.call, waiting.timeout, this.#init.maxNegotiations))
      },
      onEmpty: () => {
        ofConnection.delete(kind)

        if (ofConnection.size === 0) {
          this.#queues.delete(connection)
        }
      }
    })

    this.#queues.set(connection, ofConnection.set(kind, queue))

    return queue
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

    const streamsLeft = call.streamsLeft()

    if (streamsLeft !== Infinity) {
      limits.push({ key: MUXER, max: streamsLeft })
    }

    return limits
  }

  /**
   * Something of what is needed of which there is none left. Those who come later
   * wait behind those who wait already.
   */
  #findTaken ({ connection }: Call, limits: Limit[], isLast: boolean): Limit | undefined {
    return limits.find(({ key, max }) => {
      const slots = this.#slots.find(connection, key)

      return (slots?.inUse ?? 0) >= max || (isLast && slots != null && slots.queues.size > 0)
    })
  }

  #take ({ connection }: Call, limits: Limit[]): Permit {
    const held = limits.map(({ key }): [Key, () => void] => {
      const slots = this.#slots.get(connection, key)
      slots.take()

      return [key, () => { this.#giveBack(connection, slots) }]
    })

    return new Permit(held)
  }

  #giveBack (connection: object, slots: Slots<Queue>): void {
    slots.giveBack()
    this.#serve(slots)

    if (typeof slots.key === 'string') {
      this.streamClosed(connection)
    }

    this.#checkUnused()
  }

  #checkUnused (): void {
    if (this.#slots.isEmpty && this.#queued === 0) {
      this.#init.onUnused()
    }
  }

  #serve (slots: Slots<Queue>): void {
    let queue = firstOf(slots.queues)

    while (queue != null && this.#reconsider(queue)) {
      queue = firstOf(slots.queues)
    }

    this.#slots.tidy(slots)
  }

  /**
   * Returns false if its first call goes on waiting for the same
   */
  #reconsider (queue: Queue): boolean {
    const { slots, first } = queue
    const limits = this.#limitsOf(first.call)
    const taken = this.#findTaken(first.call, limits, false)

    if (taken == null) {
      const permit = this.#take(first.call, limits)
      queue.leave(first)
      first.serve(permit)
    } else {
      const { connection } = first.call

      if (this.#slots.find(connection, taken.key) === slots) {
        return false
      }

      queue.moveTo(this.#slots.get(connection, taken.key))
    }

    this.#slots.tidy(slots)

    return true
  }
}
