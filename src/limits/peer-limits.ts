/**
 * What one peer is asked for at a time, over all connections to it, and the calls
 * that wait until there is room for them. Nothing in here is shared with another
 * peer.
 *
 * A call gets all that it needs at once. If it cannot it waits with the others of its
 * kind. When something is given back the first of each kind are asked again what they
 * need, in order, and whoever finds it goes on. What those before them lack is not there
 * for them.
 */
import { HANDSHAKE, Limit, MUXER } from './limit.ts'
import { Permit } from './permit.ts'
import { goesBefore, Queue } from './queue.ts'
import type { Call } from './call.ts'
import type { Key, Needs } from './limit.ts'
import type { Shortage, Waiting } from './queue.ts'

export class PeerLimits {
  /**
   * What is in use or waited for
   */
  #limits: Limit[] = []

  /**
   * One for each kind of calls, none is empty
   */
  #queues: Queue[] = []

  readonly #onUnused: () => void

  /**
   * `onUnused` is called when nothing is in use or waited for any more
   */
  constructor (onUnused: () => void) {
    this.#onUnused = onUnused
  }

  get queued (): number {
    return this.#queues.reduce((queued, { length }) => queued + length, 0)
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
    const shortage = this.#findShortage(call, needs)

    return shortage != null && call.mayWait ? this.#wait(call, shortage) : this.#give(call, needs, shortage != null)
  }

  /**
   * The muxer of the connection may have another stream to give
   */
  streamClosed (connection: object): void {
    const limit = this.#find(connection, MUXER)

    if (limit != null) {
      limit.givenBackAt = performance.now()
    }

    this.serve()
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
    const ended = this.#queues.filter(({ connection }) => isEnded(connection))

    this.#limits = this.#limits.filter(({ scope }) => !isEnded(scope))
    this.#queues = this.#queues.filter(({ connection }) => !isEnded(connection))
    ended.flatMap(queue => queue.clear()).forEach(({ granted }) => { granted.reject(err) })
    this.#tidy()
  }

  /**
   * What those who go before it lack is not there for who would have to wait
   */
  #findShortage (call: Call, { limits }: Needs): Shortage | undefined {
    const need = limits.find(({ key, max }) => {
      const limit = this.#find(call.connection, key)

      return (limit?.inUse ?? 0) >= max || (call.mayWait && this.#isLacked(limit, call))
    })

    return need == null ? undefined : { limit: this.#limit(call.connection, need.key), need }
  }

  /**
   * Whether somebody waits for it, and goes before the call if there is one
   */
  #isLacked (limit: Limit | undefined, call?: Call): boolean {
    for (const { lacks, first } of this.#queues) {
      if (lacks.limit === limit && (call == null || goesBefore(first.call, call))) {
        return true
      }
    }

    return false
  }

  #give ({ connection }: Call, needs: Needs, isOverLimit: boolean): Permit {
    const limits = needs.limits.map(({ key }) => this.#limit(connection, key))
    limits.forEach(limit => { limit.take() })

    return new Permit(needs.trusted, isOverLimit, limits, this.#giveBack)
  }

  readonly #giveBack = (limit: Limit): void => {
    limit.giveBack()

    if (typeof limit.key === 'string') {
      this.streamClosed(limit.scope)
    } else {
      this.serve()
    }
  }

  async #wait (call: Call, shortage: Shortage): Promise<Permit> {
    const { isImpatient, signal } = call
    const queue = this.#queueOf(call, shortage)
    const granted = Promise.withResolvers<Permit>()
    const waiting = { call, queue, since: isImpatient ? queue.lacks.limit.takenAt : performance.now(), granted }
    const onAbort = (): void => { this.#giveUp(waiting, signal?.reason) }

    signal?.addEventListener('abort', onAbort)

    try {
      queue.join(waiting)
      signal?.throwIfAborted()

      // the one that was the first before may have lacked something else
      if (queue.first === waiting) {
        this.serve()
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

  #queueOf (call: Call, shortage: Shortage): Queue {
    const { kind } = call
    const existing = this.#queues.find(queue => queue.kind === kind)

    if (existing != null) {
      return existing
    }

    const queue = new Queue(call, shortage, this.#giveUp)
    this.#queues.push(queue)

    return queue
  }

  readonly #giveUp = (waiting: Waiting, err: Error): void => {
    // it may have been served in the meantime
    if (this.#leave(waiting)) {
      waiting.granted.reject(err)

      // the next one may be allowed more
      this.serve()
    }
  }

  #leave (waiting: Waiting): boolean {
    const { queue } = waiting
    const isWaiting = queue.leave(waiting)

    if (queue.length === 0) {
      this.#queues = this.#queues.filter(other => other !== queue)
    }

    return isWaiting
  }

  /**
   * Those who wait go on as far as there is room. To be called when they may need
   * something else, or there is more of it.
   */
  serve (): void {
    for (let next = this.#findNext(); next != null; next = this.#findNext()) {
      const { waiting, needs } = next

      this.#leave(waiting)
      waiting.granted.resolve(this.#give(waiting.call, needs, false))
    }

    this.#tidy()
  }

  #findNext (): { waiting: Waiting, needs: Needs } | undefined {
    // nearly always nobody waits
    if (this.#queues.length === 0) {
      return
    }

    for (const queue of this.#queues.sort((a, b) => goesBefore(a.first.call, b.first.call) ? -1 : 1)) {
      const { first } = queue
      const needs = first.call.needs()
      const shortage = this.#findShortage(first.call, needs)

      if (shortage == null) {
        return { waiting: first, needs }
      }

      queue.lacks = shortage
    }
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
    this.#limits = this.#limits.filter(limit => limit.inUse > 0 || this.#isLacked(limit))

    if (this.#limits.length === 0) {
      this.#onUnused()
    }
  }
}
