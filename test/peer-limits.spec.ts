import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { QueueTimeoutError } from '../src/errors.ts'
import { PeerLimits } from '../src/limits/peer-limits.ts'
import { Permit } from '../src/limits/permit.ts'
import { EARLY, HANDSHAKE, MUXER } from '../src/limits/limit.ts'
import type { Call } from '../src/limits/call.ts'
import type { Needs } from '../src/limits/limit.ts'

const MAX_STREAMS = 2
const MAX_NEGOTIATIONS = 3
const MAX_EARLY_STREAMS = 2
const MAX_STREAMS_OF_MUXER = 3

interface Wants {
  protocols: string[]
  negotiates: boolean
  early: boolean
  streamsLeft: number
}

function needsFor ({ protocols = ['/a'], negotiates = false, early = false, streamsLeft = Infinity }: Partial<Wants>, max: number): Needs {
  const needs: Needs = { limits: protocols.map(key => ({ key, max, option: 'maxStreamsPerProtocol' })) }

  if (negotiates) {
    needs.limits.push({ key: HANDSHAKE, max: MAX_NEGOTIATIONS, option: 'maxNegotiationsPerPeer' })
  }

  if (early) {
    needs.limits.push({ key: EARLY, max: MAX_EARLY_STREAMS })
  }

  if (streamsLeft !== Infinity) {
    needs.limits.push({ key: MUXER, max: streamsLeft })
  }

  return needs
}

const ids = new WeakMap<object, number>()
let connections = 0
let calls = 0

function idOf (connection: object): number {
  const id = ids.get(connection) ?? connections++
  ids.set(connection, id)

  return id
}

/**
 * What it wants may change
 */
function callFor (connection: object, wants: Partial<Wants> | (() => Partial<Wants>) = {}, max = MAX_STREAMS): Call {
  return {
    connection,
    kind: JSON.stringify([idOf(connection), typeof wants === 'function' ? 'changing' : wants, max]),
    priority: 50,
    order: 0,
    mayWait: true,
    timeout: 1_000,
    isImpatient: false,
    needs: () => needsFor(typeof wants === 'function' ? wants() : wants, max),
    whileQueued: async granted => {
      const permit = await granted

      return permit
    }
  }
}

/**
 * Takes what has to be free
 */
function take (limits: PeerLimits, call: Call): Permit {
  const permit = limits.acquire(call)

  if (!(permit instanceof Permit)) {
    throw new Error('There was nothing left to take')
  }

  return permit
}

/**
 * Whether the call would have to wait, which it does not
 */
function mustWait (limits: PeerLimits, call: Call): boolean {
  const acquired = limits.acquire({ ...call, order: calls++, signal: AbortSignal.abort() })

  if (acquired instanceof Permit) {
    acquired.release()

    return false
  }

  acquired.catch(() => {})

  return true
}

async function waitFor (limits: PeerLimits, call: Call): Promise<Permit> {
  const acquired = limits.acquire(call)

  if (acquired instanceof Permit) {
    throw new Error('There was something left to take')
  }

  return acquired
}

/**
 * Waits, and writes the name down when it is served or has failed
 */
function wait (limits: PeerLimits, call: Call, log: string[], name: string, init: Partial<Call> = {}): void {
  waitFor(limits, { ...call, order: calls++, ...init }).then(() => log.push(name), err => log.push(`${name}: ${err.name}`))
}

async function microtasks (): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await Promise.resolve()
  }
}

describe('the limits of a peer', () => {
  const connection = {}

  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  it('serve who waits in the order of asking, higher priorities first', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    const held = [take(limits, callFor(connection)), take(limits, callFor(connection))]

    expect(mustWait(limits, callFor(connection))).toBe(true)
    wait(limits, callFor(connection), log, 'first')
    wait(limits, callFor(connection), log, 'low', { priority: 10 })
    wait(limits, callFor(connection), log, 'second')
    wait(limits, callFor(connection), log, 'high', { priority: 90 })
    expect(limits.queued).toBe(4)

    held.forEach(permit => { permit.release() })
    await microtasks()
    expect(log).toEqual(['high', 'first'])
    expect(limits.queued).toBe(2)
    expect(limits.open).toBe(2)
  })

  it('do not let anybody overtake who waits', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    const permit = take(limits, callFor(connection, {}, 1))

    wait(limits, callFor(connection, {}, 1), log, 'modest')
    expect(mustWait(limits, callFor(connection, {}, 5))).toBe(true)
    wait(limits, callFor(connection, {}, 5), log, 'greedy')
    await microtasks()
    expect(log).toEqual([])

    permit.release()
    await microtasks()
    expect(log).toEqual(['modest', 'greedy'])
  })

  it('serve those behind who may have more when the first one gives up', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    const controller = new AbortController()

    take(limits, callFor(connection, {}, 1))
    wait(limits, callFor(connection, {}, 1), log, 'modest', { signal: controller.signal })
    wait(limits, callFor(connection, {}, 5), log, 'greedy')
    controller.abort()
    await microtasks()
    expect(log).toEqual(['modest: AbortError', 'greedy'])
  })

  it('time out when nothing moves for too long, but not as long as something does', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    const giveBack = [take(limits, callFor(connection)).bind('/a'), take(limits, callFor(connection)).bind('/a')]

    wait(limits, callFor(connection), log, 'first')
    wait(limits, callFor(connection), log, 'second')
    wait(limits, callFor(connection), log, 'third')
    expect(vi.getTimerCount()).toBe(1)

    vi.advanceTimersByTime(900)
    giveBack[0]?.()
    await microtasks()
    vi.advanceTimersByTime(900)
    await microtasks()
    expect(log).toEqual(['first'])
    giveBack[1]?.()
    await microtasks()
    vi.advanceTimersByTime(999)
    await microtasks()
    expect(log).toEqual(['first', 'second'])
    vi.advanceTimersByTime(2)
    await microtasks()
    expect(log).toEqual(['first', 'second', 'third: QueueTimeoutError'])
    expect(limits.queued).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('time each call out when its own time is over', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []

    take(limits, callFor(connection, {}, 1))
    wait(limits, callFor(connection, {}, 1), log, 'patient', { timeout: 5_000 })
    wait(limits, callFor(connection, {}, 1), log, 'hasty', { timeout: 10 })
    vi.advanceTimersByTime(11)
    await microtasks()
    expect(log).toEqual(['hasty: QueueTimeoutError'])
    vi.advanceTimersByTime(5_000)
    await microtasks()
    expect(log).toEqual(['hasty: QueueTimeoutError', 'patient: QueueTimeoutError'])
  })

  it('say what it was that did not move', async () => {
    const limits = new PeerLimits(() => {})
    const other = {}
    const negotiating = Array.from({ length: MAX_NEGOTIATIONS }, (_, i) => take(limits, callFor(connection, { protocols: [`/n/${i}`], negotiates: true })))
    take(limits, callFor(connection))
    take(limits, callFor(connection))

    for (let i = 0; i < MAX_EARLY_STREAMS; i++) {
      take(limits, callFor(other, { protocols: [`/e/${i}`], early: true }))
    }

    const errors = Promise.all([
      waitFor(limits, callFor(connection)),
      waitFor(limits, callFor(connection, { protocols: ['/b'], negotiates: true })),
      waitFor(limits, callFor(other, { protocols: ['/b'], early: true }))
    ].map(async promise => promise.catch(err => err)))

    vi.advanceTimersByTime(1_001)
    const [streams, negotiations, early] = await errors

    expect(streams).toBeInstanceOf(QueueTimeoutError)
    expect(streams.message).toBe('None of the 2 open streams of /a was closed within 1000ms - close those that are not needed any more, or raise maxStreamsPerProtocol, which is 2, if the peer accepts more')
    expect(negotiations.message).toBe('The peer answered none of 3 handshakes within 1000ms - it may be overloaded, if it is only slow raise maxNegotiationsPerPeer, which is 3, or queueTimeout')
    expect(early.message).toBe('The peer answered nothing on the connection within 1000ms, 2 streams were opened on it - it may be overloaded, if it is only slow raise queueTimeout')
    negotiating.forEach(permit => { permit.release() })
    expect(limits.negotiating).toBe(0)
  })

  it('count handshakes over all connections, and streams for each', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    const permits = Array.from({ length: MAX_NEGOTIATIONS }, (_, i) => take(limits, callFor({}, { protocols: [`/${i}`], negotiates: true })))

    expect(mustWait(limits, callFor({}, { negotiates: true }))).toBe(true)
    wait(limits, callFor({}, { negotiates: true }), log, 'other')
    take(limits, callFor({}))
    permits[0]?.release()
    await microtasks()
    expect(log).toEqual(['other'])
  })

  it('look again when a call does not need any more what it waits for', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    let negotiates = true

    for (let i = 0; i < MAX_NEGOTIATIONS; i++) {
      take(limits, callFor({}, { negotiates }))
    }

    const call = callFor(connection, () => ({ protocols: ['/a'], negotiates, early: false }))
    wait(limits, call, log, 'known')
    limits.serve()
    await microtasks()
    expect(log).toEqual([])

    negotiates = false
    limits.serve()
    await microtasks()
    expect(log).toEqual(['known'])
    expect(limits.negotiating).toBe(MAX_NEGOTIATIONS)
  })

  it('time a call out that only changes what it waits for', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    let protocol = '/a'

    for (const other of ['/a', '/b']) {
      take(limits, callFor(connection, { protocols: [other] }, 1))
    }

    const call = callFor(connection, () => ({ protocols: [protocol] }), 1)
    wait(limits, call, log, 'moved')

    for (let i = 0; i < 3; i++) {
      vi.advanceTimersByTime(400)
      protocol = protocol === '/a' ? '/b' : '/a'
      limits.serve()
      await microtasks()
    }

    expect(log).toEqual(['moved: QueueTimeoutError'])
    expect(limits.queued).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('let a call wait anew for something else when what it waited for was given back, though to somebody else', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    let protocol = '/a'
    const [giveBack] = ['/a', '/b'].map(other => take(limits, callFor(connection, { protocols: [other] }, 1)).bind(other))
    const call = callFor(connection, () => ({ protocols: [protocol] }), 1)

    wait(limits, callFor(connection, {}, 1), log, 'first')
    wait(limits, call, log, 'moved')
    vi.advanceTimersByTime(900)
    giveBack?.()
    protocol = '/b'
    limits.serve()
    vi.advanceTimersByTime(900)
    await microtasks()
    expect(log).toEqual(['first'])
    vi.advanceTimersByTime(102)
    await microtasks()
    expect(log).toEqual(['first', 'moved: QueueTimeoutError'])
  })

  it('look at one call of each kind when something has become known or was given back, however many wait', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    let protocol = '/a'
    let looks = 0
    const permits = ['/a', '/b'].map(other => take(limits, callFor(connection, { protocols: [other] }, 1)))

    const call = callFor(connection, () => {
      looks++

      return { protocols: [protocol] }
    }, 1)

    for (let i = 0; i < 10_000; i++) {
      wait(limits, { ...call }, log, `${i}`)
    }

    looks = 0
    protocol = '/b'
    limits.serve()
    expect(looks).toBeLessThan(5)
    expect(limits.queued).toBe(10_000)

    looks = 0
    permits[1]?.release()
    expect(looks).toBeLessThan(5)
    expect(limits.queued).toBe(9_999)
  })

  it('do not let an impatient call wait for what has not been given back for as long as it would wait', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    const call = callFor(connection)
    const giveBack = [take(limits, call).bind('/a'), take(limits, call).bind('/a')]

    vi.advanceTimersByTime(900)
    wait(limits, call, log, 'first', { isImpatient: true })
    vi.advanceTimersByTime(102)
    await microtasks()
    expect(log).toEqual(['first: QueueTimeoutError'])

    // and it does not wait again
    wait(limits, call, log, 'second', { isImpatient: true })
    vi.advanceTimersByTime(2)
    await microtasks()
    expect(log).toEqual(['first: QueueTimeoutError', 'second: QueueTimeoutError'])

    // but as long as something is given back
    const patient = ['third', 'fourth', 'fifth']
    wait(limits, call, log, 'patient', { priority: 90 })
    giveBack[0]?.()
    patient.forEach(name => { wait(limits, call, log, name, { isImpatient: true }) })
    vi.advanceTimersByTime(900)
    giveBack[1]?.()
    await microtasks()
    expect(log.slice(2)).toEqual(['patient', 'third'])
    vi.advanceTimersByTime(1_002)
    await microtasks()
    expect(log.slice(4)).toEqual(['fourth: QueueTimeoutError', 'fifth: QueueTimeoutError'])
  })

  it('serve who may go on now in the order of asking, higher priorities first', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    let early = true
    const call = callFor(connection, () => ({ protocols: ['/a'], negotiates: false, early }), 4)

    take(limits, call)
    take(limits, call)
    wait(limits, call, log, 'second', { order: 2 })
    wait(limits, call, log, 'first', { order: 1 })
    wait(limits, call, log, 'high', { priority: 90, order: 3 })

    early = false
    limits.serve()
    await microtasks()
    expect(log).toEqual(['high', 'first'])
  })

  it('keep nothing of a call whose signal is aborted', async () => {
    const onUnused = vi.fn()
    const limits = new PeerLimits(onUnused)

    // nobody else will give anything back
    expect(mustWait(limits, callFor(connection, { streamsLeft: 0 }))).toBe(true)
    await microtasks()
    expect(limits.queued).toBe(0)
    expect(onUnused).toHaveBeenCalledTimes(1)
  })

  it('do not let a call wait whose signal is aborted', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []

    take(limits, callFor(connection, {}, 1))
    wait(limits, callFor(connection, {}, 1), log, 'aborted', { signal: AbortSignal.abort() })
    await microtasks()
    expect(log).toEqual(['aborted: AbortError'])
    expect(limits.queued).toBe(0)
  })

  it('reject everybody who waits when the service stops, whatever they wait for', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []

    for (let i = 0; i < MAX_NEGOTIATIONS; i++) {
      take(limits, callFor(connection, { protocols: [`/${i}`], negotiates: true }))
    }

    // nothing is open on this connection
    wait(limits, callFor({}, { negotiates: true }), log, 'other')
    limits.stop(Object.assign(new Error('Stopped'), { name: 'AbortError' }))
    await microtasks()
    expect(log).toEqual(['other: AbortError'])
    expect(vi.getTimerCount()).toBe(0)
  })

  it('take back once what was given, from whom it was bound to', async () => {
    const limits = new PeerLimits(() => {})
    const permit = take(limits, callFor(connection, { protocols: ['/a', '/b'], negotiates: true }))
    expect(limits.open).toBe(2)
    expect(limits.negotiating).toBe(1)

    const closed = permit.bind('/b')
    permit.release()
    permit.release()
    expect(limits.open).toBe(1)
    expect(limits.negotiating).toBe(0)

    closed()
    closed()
    expect(limits.open).toBe(0)
  })

  it('let a call that may not wait have what it needs, and say whether that is over the limit', async () => {
    const limits = new PeerLimits(() => {})
    const call = { ...callFor(connection, {}, 1), mayWait: false }
    const log: string[] = []

    expect(take(limits, call).isOverLimit).toBe(false)
    expect(take(limits, call).isOverLimit).toBe(true)
    expect(limits.open).toBe(2)

    // room is room, whoever waits for more of it
    wait(limits, callFor(connection, {}, 1), log, 'waiting')
    expect(take(limits, { ...call, ...callFor(connection, {}, 5), mayWait: false }).isOverLimit).toBe(false)
  })

  it('give what the permit was given for along with it', async () => {
    const limits = new PeerLimits(() => {})
    let trusted = '/a'
    const call = { ...callFor(connection, {}, 1), needs: () => ({ ...needsFor({}, 1), trusted }) }
    const first = take(limits, call)
    const second = waitFor(limits, call)

    trusted = '/b'
    first.release()
    trusted = '/c'
    expect(first.trusted).toBe('/a')
    expect((await second).trusted).toBe('/b')
  })

  it('take a call out of the queue at once, or what it got back, when who is told that it waits throws', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    const permit = take(limits, callFor(connection, {}, 1))
    const whileQueued = async (): Promise<never> => { throw new RangeError('Not interested') }

    wait(limits, callFor(connection, {}, 1), log, 'at once', { whileQueued })
    await microtasks()
    expect(limits.queued).toBe(0)

    wait(limits, callFor(connection, {}, 1), log, 'before', {
      whileQueued: async () => {
        permit.release()
        expect(limits.open).toBe(1)

        return whileQueued()
      }
    })
    await microtasks()
    expect(limits.open).toBe(0)

    const last = take(limits, callFor(connection, {}, 1))
    wait(limits, callFor(connection, {}, 1), log, 'after', {
      whileQueued: async granted => {
        await granted

        return whileQueued()
      }
    })
    last.release()
    await microtasks()
    expect(log).toEqual(['at once: RangeError', 'before: RangeError', 'after: RangeError'])
    expect(limits.open).toBe(0)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('do not forget a call of high priority that lacks something else than those of its kind', async () => {
    const limits = new PeerLimits(() => {})
    const log: string[] = []
    const [a, b] = ['/a', '/b'].map(protocol => take(limits, callFor(connection, { protocols: [protocol] }, 2)))

    // there is room for a second of /a, but not before the modest one
    wait(limits, callFor(connection, { protocols: ['/a'] }, 1), log, 'modest')
    wait(limits, callFor(connection, { protocols: ['/a', '/b'] }, 2), log, 'low', { priority: 10 })
    const other = take(limits, callFor(connection, { protocols: ['/b'] }, 2))
    wait(limits, callFor(connection, { protocols: ['/a', '/b'] }, 2), log, 'high', { priority: 90 })
    await microtasks()
    expect(log).toEqual([])

    other.release()
    await microtasks()
    expect(log).toEqual(['high'])
    a?.release()
    b?.release()
  })

  it('forget a connection that is closed, and reject who waits for it', async () => {
    let unused = 0
    const limits = new PeerLimits(() => { unused++ })
    const log: string[] = []
    const permits = [take(limits, callFor(connection, { negotiates: true })), take(limits, callFor(connection))]

    wait(limits, callFor(connection), log, 'first')
    wait(limits, callFor(connection), log, 'second')
    limits.closed(connection, Object.assign(new Error('Gone'), { name: 'ConnectionClosedError' }))
    await microtasks()
    expect(log).toEqual(['first: ConnectionClosedError', 'second: ConnectionClosedError'])
    expect(vi.getTimerCount()).toBe(0)
    expect(unused).toBe(0)

    permits.forEach(permit => { permit.release() })
    expect(unused).toBeGreaterThan(0)
    expect(limits.negotiating).toBe(0)
    expect(limits.open).toBe(0)
  })
})

interface Step {
  do: 'open' | 'close' | 'abort' | 'disconnect' | 'end call'
  connection: number
  protocols: string[]
  negotiates: boolean
  early: boolean
  priority: number
  which: number
}

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.oneof({ weight: 6, arbitrary: fc.constant('open' as const) }, { weight: 4, arbitrary: fc.constant('close' as const) }, { weight: 2, arbitrary: fc.constant('abort' as const) }, { weight: 2, arbitrary: fc.constant('end call' as const) }, fc.constant('disconnect' as const)),
  connection: fc.nat(1),
  protocols: fc.constantFrom(['/a'], ['/b'], ['/a', '/b'], ['/b', '/a']),
  negotiates: fc.boolean(),
  early: fc.boolean(),
  priority: fc.constantFrom(10, 50),
  which: fc.nat(100)
})

interface Change {
  do: 'open' | 'end' | 'news' | 'abort'
  connection: number
  protocols: string[]
  max: number
  priority: number
  which: number
}

const change: fc.Arbitrary<Change> = fc.record({
  do: fc.oneof({ weight: 6, arbitrary: fc.constant('open' as const) }, { weight: 3, arbitrary: fc.constant('end' as const) }, fc.constant('news' as const), fc.constant('abort' as const)),
  connection: fc.nat(1),
  protocols: fc.constantFrom(['/a'], ['/b'], ['/a', '/b'], ['/b', '/a']),
  max: fc.constantFrom(1, 2, 3),
  priority: fc.constantFrom(10, 50, 90),
  which: fc.nat(100)
})

interface Tracked extends Step {
  key: object
  order: number
  state: 'waiting' | 'served' | 'failed'
  permit?: Permit
  controller: AbortController
  settled: number
}

describe('whatever happens in whatever order', () => {
  it('what is in use is that of open streams and running calls, nobody waits who need not, and nobody is forgotten', async () => {
    let served = 0
    let waited = 0

    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      let isUnused = true
      const limits = new PeerLimits(() => { isUnused = true })
      const keys = [{}, {}]
      const calls: Tracked[] = []
      const streams: Array<{ key: object, protocol: string, early: boolean, close(): void }> = []
      const inUse = (key: object, protocol: string): number => {
        return streams.filter(stream => stream.key === key && stream.protocol === protocol).length + calls.filter(call => call.permit != null && call.key === key && call.protocols.includes(protocol)).length
      }
      const negotiating = (): number => calls.filter(({ permit, negotiates }) => permit != null && negotiates).length
      const streamsLeft = (key: object): number => MAX_STREAMS_OF_MUXER - streams.filter(stream => stream.key === key).length
      const opening = (key: object): number => calls.filter(call => call.permit != null && call.key === key).length
      const early = (key: object): number => streams.filter(stream => stream.key === key && stream.early).length + calls.filter(call => call.permit != null && call.key === key && call.early).length

      const run = (next: Step): void => {
        const key = keys[next.connection] ?? {}

        switch (next.do) {
          case 'open': {
            const tracked: Tracked = { ...next, key, order: calls.length, state: 'waiting', controller: new AbortController(), settled: 0 }
            const call = {
              ...callFor(key, () => ({ ...next, streamsLeft: streamsLeft(key) })),
              kind: JSON.stringify([idOf(key), next.protocols, next.negotiates, next.early]),
              priority: next.priority,
              order: tracked.order,
              timeout: 1_000_000,
              signal: tracked.controller.signal
            }
            const acquired = limits.acquire(call)
            const onPermit = (permit: Permit): void => {
              tracked.state = 'served'
              tracked.permit = permit
              tracked.settled++
            }
            calls.push(tracked)
            isUnused = false

            if (acquired instanceof Permit) {
              onPermit(acquired)
            } else {
              waited++
              acquired.then(onPermit, () => {
                tracked.state = 'failed'
                tracked.settled++
              })
            }
            break
          }
          case 'end call': {
            // with a stream or without
            const call = calls.filter(({ permit }) => permit != null)[next.which % Math.max(1, calls.length)]

            if (call?.permit != null) {
              const protocol = call.protocols[next.which % call.protocols.length] ?? ''

              if (next.which % 3 > 0) {
                streams.push({ key: call.key, protocol, early: call.early, close: call.permit.bind(protocol) })
              }

              call.permit.release()
              call.permit = undefined
            }
            break
          }
          case 'close': {
            const [stream] = streams.splice(next.which % Math.max(1, streams.length), 1)
            stream?.close()
            stream?.close()
            break
          }
          case 'abort':
            calls[next.which % Math.max(1, calls.length)]?.controller.abort()
            break
          case 'disconnect': {
            limits.closed(key, new Error('Gone'))
            keys[next.connection] = {}
            const gone = streams.filter(stream => stream.key === key)
            streams.splice(0, streams.length, ...streams.filter(stream => stream.key !== key))
            gone.forEach(stream => { stream.close() })

            for (const call of calls.filter(call => call.key === key)) {
              call.permit?.release()
              call.permit = undefined
            }
            break
          }
          default:
            throw new Error('Unknown step')
        }
      }

      for (const next of steps) {
        run(next)
        await microtasks()

        const open = keys.flatMap(key => ['/a', '/b'].map(protocol => inUse(key, protocol)))
        expect(Math.max(...open)).toBeLessThanOrEqual(MAX_STREAMS)
        expect(limits.open).toBe(open.reduce((a, b) => a + b))
        expect(limits.negotiating).toBe(negotiating())
        expect(limits.negotiating).toBeLessThanOrEqual(MAX_NEGOTIATIONS)
        expect(Math.max(...keys.map(early))).toBeLessThanOrEqual(MAX_EARLY_STREAMS)
        expect(keys.every(key => opening(key) <= streamsLeft(key))).toBe(true)

        const waiting = calls.filter(({ state }) => state === 'waiting')
        expect(isUnused).toBe(limits.open === 0 && limits.negotiating === 0 && waiting.length === 0)
        expect(limits.queued).toBe(waiting.length)

        for (const call of waiting) {
          const isHeldUp = call.protocols.some(protocol => inUse(call.key, protocol) >= MAX_STREAMS) || (call.negotiates && negotiating() >= MAX_NEGOTIATIONS) || (call.early && early(call.key) >= MAX_EARLY_STREAMS) || opening(call.key) >= streamsLeft(call.key)

          expect(isHeldUp).toBe(true)
          expect(call.controller.signal.aborted).toBe(false)
          expect(keys).toContain(call.key)

          // nobody with the same needs was served before
          const unfair = calls.find(other => other.state === 'served' && other.order > call.order && other.priority <= call.priority && other.key === call.key && other.negotiates === call.negotiates && other.early === call.early && other.protocols.join() === call.protocols.join())
          expect(unfair).toBeUndefined()
        }
      }

      limits.stop(new Error('Stopped'))
      calls.forEach(({ permit }) => permit?.release())
      await microtasks()
      served += calls.filter(({ state }) => state === 'served').length
      expect(calls.every(({ settled }) => settled === 1)).toBe(true)
      expect(limits.queued).toBe(0)
      expect(isUnused).toBe(true)
    }), { numRuns: 2_000 })

    expect(served).toBeGreaterThan(0)
    expect(waited).toBeGreaterThan(0)
  })

  it('all calls are served in the end, though they may have different limits, and what they need changes', async () => {
    let moved = 0

    await fc.assert(fc.asyncProperty(fc.array(change, { maxLength: 60 }), async steps => {
      const limits = new PeerLimits(() => {})
      const connections = [{ key: {}, negotiates: true }, { key: {}, negotiates: true }]
      const running: Permit[] = []
      const controllers: AbortController[] = []
      const settled = { served: 0, failed: 0 }

      const run = ({ do: what, connection, protocols, max, priority, which }: Change): void => {
        const on = connections[connection] as typeof connections[number]

        switch (what) {
          case 'open': {
            const controller = new AbortController()
            const acquired = limits.acquire({
              ...callFor(on.key, () => ({ protocols, negotiates: on.negotiates }), max),
              kind: JSON.stringify([connection, protocols, max]),
              order: controllers.push(controller),
              priority,
              signal: controller.signal,
              timeout: 1_000_000
            })
            Promise.resolve(acquired).then(permit => {
              settled.served++
              running.push(permit)
            }, () => { settled.failed++ })
            break
          }
          case 'end':
            running.splice(which % Math.max(1, running.length), 1).forEach(permit => { permit.release() })
            break
          case 'news':
            moved += limits.queued
            on.negotiates = !on.negotiates
            limits.serve()
            break
          case 'abort':
            controllers[which % Math.max(1, controllers.length)]?.abort()
            break
          default:
            throw new Error('Unknown change')
        }
      }

      for (const next of steps) {
        run(next)
        await microtasks()
        expect(limits.queued).toBe(controllers.length - settled.served - settled.failed)
        expect(limits.negotiating).toBeLessThanOrEqual(MAX_NEGOTIATIONS)
      }

      while (running.length > 0) {
        running.splice(0, 1).forEach(permit => { permit.release() })
        await microtasks()
      }

      expect(limits.queued).toBe(0)
      expect(limits.open + limits.negotiating).toBe(0)
      expect(settled.served + settled.failed).toBe(controllers.length)
    }), { numRuns: 2_000 })

    expect(moved).toBeGreaterThan(0)
  })
})
