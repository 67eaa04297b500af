/**
 * What one peer is asked for at a time, over all connections to it, and the calls
 * that wait until there is room for them. Nothing in here is shared with another
 * peer.
 *
 * A call gets all that it needs at once. If it cannot it waits for the first of what
 * there is none left, together with the others of its kind, and goes on when one is
 * given back and nobody goes before it.
 */
import { HANDSHAKE, Limit, MUXER } from './limit.ts'
import { Permit } from './permit.ts'
import { firstOf, goesBefore, Queue } from './queue.ts'
import type { Call } from './call.ts'
import type { Key, Need, Needs } from './limit.ts'
import type { Waiting } from './queue.ts'

export class PeerLimits {
  /**
   * What is in use or waited for
   */
  #limits: Limit[] = []

  /**
   * By the kind of their calls
   */
  readonly #queues = new Map<string, Queue>()

  readonly #onUnused: () => void

  /**
   * `onUnused` is called when nothing is in use or waited for any more
   */
  constructor (onUnused: () => void) {
    this.#onUnused = onUnused
  }

  get queued (): number {
    return [...this.#queues.values()].reduce((queued, { length }) => queued + length, 0)
  }

  get negotiating (): number {
    return this.#find(this, HANDSHAKE)?.inUse ?? 0
  }

  /**
   * The streams that are open, or about to be
   */
  get open (): number {
    return this.#limits.reduce((open, { key, inUse }) => typeof key === 'string' ? open + inUse : open, 0)
  }

  /**
   * Returns the permit if there is room for the call, or if it may not wait. A promise
   * of one rejects with the reason of the signal, a QueueTimeoutError, what `closed` or
   * `stop` were called with, or what the call did with it.
   */
  acquire (call: Call): Permit | Promise<Permit> {
    const needs = call.needs()
    const short = this.#findShort(call, needs)

    return short != null && call.mayWait ? this.#wait(call, short) : this.#give(call, needs, short != null)
  }

  /**
   * Calls that wait for the connection may not need what they are waiting for any
   * more
   */
  reconsider (connection: object): void {
    // there is none that anybody could go on waiting for
    const none = new Limit(connection, MUXER)

    for (const queue of this.#queues.values()) {
      if (queue.connection === connection) {
        queue.waitFor(none, queue.need)
      }
    }

    this.#serve(none)
  }

  /**
   * The muxer of the connection may have another stream to give
   */
  streamClosed (connection: object): void {
    const limit = this.#find(connection, MUXER)

    if (limit != null) {
      limit.givenBackAt = performance.now()
      this.#serve(limit)
    }
  }

  /**
   * Nothing can be opened on the connection any more: calls that wait for it are
   * rejected with the error
   */
  closed (connection: object, err: Error): void {
    this.#end(one => one === connection, err)
  }

  stop (err: Error): void {
    this.#end(() => true, err)
  }

  #end (isEnded: (scope: object) => boolean, err: Error): void {
    this.#limits = this.#limits.filter(({ scope }) => !isEnded(scope))

    for (const [kind, queue] of this.#queues) {
      if (isEnded(queue.connection)) {
        this.#queues.delete(kind)
        queue.clear().forEach(({ granted }) => { granted.reject(err) })
      }
    }

    this.#tidy()
  }

  /**
   * Something of what the call needs of which there is none left for it. Those who
   * wait do so behind those who go before them.
   */
  #findShort (call: Call, { limits }: Needs): Need | undefined {
    return limits.find(({ key, max }) => {
      const limit = this.#find(call.connection, key)

      return (limit?.inUse ?? 0) >= max || (limit != null && call.mayWait && this.#isBehind(call, limit))
    })
  }

  #isBehind (call: Call, limit: Limit): boolean {
    const first = firstOf(this.#queues, limit)

    return first != null && goesBefore(first.call, call)
  }

  #give ({ connection }: Call, needs: Needs, isOverLimit: boolean): Permit {
    const limits = needs.limits.map(({ key }) => this.#limit(connection, key))
    limits.forEach(limit => { limit.take() })

    return new Permit(needs, isOverLimit, limits, this.#giveBack)
  }

  readonly #giveBack = (limit: Limit): void => {
    limit.giveBack()
    this.#serve(limit)

    if (typeof limit.key === 'string') {
      this.streamClosed(limit.scope)
    }
  }

  async #wait (call: Call, short: Need): Promise<Permit> {
    const { connection, isImpatient, kind, signal } = call
    signal?.throwIfAborted()

    const queue = this.#queues.get(kind) ?? new Queue(connection, this.#limit(connection, short.key), short, this.#giveUp)
    const granted = Promise.withResolvers<Permit>()
    const waiting = { call, queue, since: isImpatient ? queue.limit.takenAt : performance.now(), granted }
    const onAbort = (): void => { this.#giveUp(waiting, signal?.reason) }

    this.#queues.set(kind, queue)
    signal?.addEventListener('abort', onAbort)

    try {
      queue.join(waiting)

      // the one that was the first before may have lacked something else
      if (queue.first === waiting) {
        this.#serve(queue.limit)
      }

      return await call.whileQueued(granted.promise)
    } catch (err: any) {
      this.#giveUp(waiting, err)
      granted.promise.then(permit => { permit.release() }, () => {})

      throw err
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
  }

  readonly #giveUp = (waiting: Waiting, err: Error): void => {
    const { queue, granted } = waiting

    // it may have been served in the meantime
    if (this.#leave(waiting)) {
      granted.reject(err)

      // the next one may be allowed more
      this.#serve(queue.limit)
    }
  }

  #leave (waiting: Waiting): boolean {
    const { call, queue } = waiting
    const isWaiting = queue.leave(waiting)

    if (isWaiting && queue.first == null) {
      this.#queues.delete(call.kind)
    }

    return isWaiting
  }

  /**
   * Those who wait for it go on, in order, as long as there is room
   */
  #serve (limit: Limit): void {
    const queues = this.#queues

    for (let first = firstOf(queues, limit); first != null; first = firstOf(queues, limit)) {
      const { call, queue, granted } = first
      const needs = call.needs()
      const short = this.#findShort(call, needs)

      if (short == null) {
        this.#leave(first)
        granted.resolve(this.#give(call, needs, false))
        continue
      }

      const next = this.#limit(call.connection, short.key)

      if (next === limit) {
        break
      }

      queue.waitFor(next, short)
    }

    this.#tidy()
  }

  /**
   * Those of handshakes are for all connections
   */
  #find (connection: object, key: Key): Limit | undefined {
    const scope = key === HANDSHAKE ? this : connection

    return this.#limits.find(limit => limit.key === key && limit.scope === scope)
  }

  #limit (connection: object, key: Key): Limit {
    const existing = this.#find(connection, key)

    if (existing != null) {
      return existing
    }

    const limit = new Limit(key === HANDSHAKE ? this : connection, key)
    this.#limits.push(limit)

    return limit
  }

  /**
   * Forget what nobody uses or waits for
   */
  #tidy (): void {
    this.#limits = this.#limits.filter(limit => limit.inUse > 0 || firstOf(this.#queues, limit) != null)

    if (this.#limits.length === 0) {
      this.#onUnused()
    }
  }
}
