import { pEvent } from 'p-event'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { Echo } from '../../src/negotiation/echo.ts'
import { HeldWrites } from '../../src/negotiation/held-writes.ts'
import { OptimisticNegotiation } from '../../src/negotiation/optimistic-negotiation.ts'
import { Limit } from '../../src/limits/limit.ts'
import { PeerLimits } from '../../src/limits/peer-limits.ts'
import { Permit } from '../../src/limits/permit.ts'
import { Queue } from '../../src/limits/queue.ts'
import { SpokenProtocols } from '../../src/negotiation/spoken-protocols.ts'
import { countObjects } from '../support/count-objects.ts'
import { followProtocols } from '../support/follow-protocols.ts'
import { forkListener } from '../support/fork-listener.ts'
import { collectGarbage } from '../support/gc.ts'
import { connectIdentified, createOpenerNode, createStockNode, SOCKET_TRANSPORTS, stopNodes, TRANSPORTS } from '../support/nodes.ts'
import { handleRaw } from '../support/raw-listener.ts'
import { rounds } from '../support/rounds.ts'
import { bytes, closed, ECHO, echo, exchange, replacedMethods } from '../support/streams.ts'
import { turn } from '../support/wait.ts'
import type { StreamOpenerComponents } from '../../src/index.ts'
import type { ForkedListener } from '../support/fork-listener.ts'
import type { OpenerServices, TransportName } from '../support/nodes.ts'
import type { Connection, Libp2p, Startable, Stream } from '@libp2p/interface'

const OPENS = rounds(20_000)
const CONNECTS = rounds(1_000, 50)

let dialer: Libp2p<OpenerServices> | undefined
let listener: Libp2p | undefined

afterEach(async () => {
  await stopNodes(dialer, listener)
  dialer = listener = undefined
})

/**
 * What is in use after everything that nobody holds is gone
 */
async function heapUsed (): Promise<number> {
  for (let i = 0; i < 5; i++) {
    collectGarbage()
    await turn()
  }

  return process.memoryUsage().heapUsed
}

/**
 * Runs it in three parts of the same length and returns by how much the heap has
 * grown in the last two, in bytes. Growth in the first one is caches and compiled code.
 */
async function growth (rounds: number, run: (rounds: number) => Promise<void>): Promise<number> {
  await run(rounds / 3)
  const before = await heapUsed()
  await run(rounds / 3 * 2)

  return await heapUsed() - before
}

/**
 * Node.js has no public way to ask a timer
 */
function isActive (timer: { _destroyed: boolean }): boolean {
  return !timer._destroyed
}

async function createPair (transport: TransportName): Promise<Connection> {
  dialer = await createOpenerNode()
  listener = await createStockNode(transport)
  await listener.handle(ECHO, echo)

  return connectIdentified(dialer, listener)
}

describe.each(SOCKET_TRANSPORTS)('over %s, to a listener in another process', transport => {
  let forked: ForkedListener

  beforeAll(async () => {
    forked = await forkListener(transport)
  })

  afterAll(async () => {
    await forked.stop()
  })

  it(`${OPENS} opens on one connection leave nothing behind`, async () => {
    const node = dialer = await createOpenerNode()
    const [connection] = await Promise.all([node.dial(forked.addr), pEvent(node as any, 'peer:identify')])

    const grown = await growth(OPENS, async rounds => {
      let left = rounds

      await Promise.all(Array.from({ length: 8 }, async () => {
        while (left-- > 0) {
          await exchange(await node.services.streamOpener.newStreamOn(connection, ECHO), bytes('hello'))
        }
      }))
    })

    // a single closure that stays would be more where all are opened, a stream where it is
    // a tenth of them: what is compiled on the way is the same for many and for few
    expect(grown).toBeLessThan(650_000)
    expect(connection.streams).toHaveLength(0)
  })

  it(`${CONNECTS} connects and disconnects leave nothing behind`, async () => {
    const node = dialer = await createOpenerNode()
    const { events } = (node as unknown as { components: StreamOpenerComponents }).components
    const listeners = (): number[] => ['connection:open', 'connection:close', 'peer:identify'].map(type => (events as any).listenerCount(type))

    const known = followProtocols(node)
    const before = listeners()

    // one that is there is found
    const [first] = await Promise.all([node.dial(forked.addr), pEvent(node as any, 'peer:identify')])
    const unused = await node.services.streamOpener.newStreamOn(first, ECHO)
    expect(countObjects(OptimisticNegotiation)).toBe(1)
    unused.abort(new Error('Not needed'))
    await node.hangUp(first.remotePeer)

    for (let i = 0; i < CONNECTS; i++) {
      const connection = await node.dial(forked.addr)
      expect(known.size).toBe(1)
      await exchange(await node.services.streamOpener.newStreamOn(connection, ECHO), bytes('hello'))
      await node.hangUp(connection.remotePeer)
      expect(known.size).toBe(0)
    }

    // libp2p itself keeps connections and streams for some seconds, in timers, so
    // the heap as a whole says nothing
    expect(countObjects(OptimisticNegotiation, HeldWrites, Echo, PeerLimits, Permit, Queue, Limit, SpokenProtocols)).toBe(0)

    expect(listeners()).toEqual(before)
    expect(node.getConnections()).toHaveLength(0)
    known.stop()
  })
})

describe.each(TRANSPORTS)('stopping over %s', transport => {
  it('leaves no timer, listener or replaced method behind, and says so to those who wait', async () => {
    const connection = await createPair(transport)
    const node = dialer as Libp2p<OpenerServices>
    await handleRaw(listener as Libp2p, '/silent/1.0.0', () => {})
    await node.hangUp(connection.remotePeer)
    const next = await connectIdentified(node, listener as Libp2p)
    const setTimeouts = vi.spyOn(globalThis, 'setTimeout')
    const streams: Stream[] = []
    const timeouts = Array.from({ length: 10 }, (_, i) => 8_888 - i)

    // each is due before those before it
    for (const negotiationTimeout of timeouts) {
      const stream = await node.services.streamOpener.newStreamOn(next, '/silent/1.0.0', { negotiationTimeout })
      expect(replacedMethods(stream)).toContain('onData')
      streams.push(stream)
    }

    const timers = setTimeouts.mock.results.filter((_, i) => Number(setTimeouts.mock.calls[i]?.[1]) > 8_800 && Number(setTimeouts.mock.calls[i]?.[1]) <= 8_888).map(({ value }) => value)
    setTimeouts.mockRestore()
    expect(timers.filter(isActive)).toHaveLength(1)

    const ends = streams.map(closed)
    const opening = expect(node.services.streamOpener.newStreamOn(next, '/unknown/1.0.0')).rejects.toThrow()
    const service = node.services.streamOpener as unknown as { stop(): Promise<void>, start(): Promise<void>, isStarted(): boolean }
    await service.stop()

    for (const { error } of await Promise.all(ends)) {
      expect(error).toHaveProperty('name', 'AbortError')
    }

    await opening
    expect(streams.map(replacedMethods)).toEqual(streams.map(() => []))
    expect(timers.filter(isActive)).toHaveLength(0)
    expect(service.isStarted()).toBe(false)
    await expect(node.services.streamOpener.newStreamOn(next, ECHO)).rejects.toThrow(expect.objectContaining({ name: 'NotStartedError' }))

    // and it can be started again
    await service.start()
    const stream = await node.services.streamOpener.newStreamOn(next, ECHO)
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('sends a FIN that is being held back', async () => {
    const connection = await createPair(transport)
    const node = dialer as Libp2p<OpenerServices>
    const ended = Promise.withResolvers<void>()
    const echoed = Promise.withResolvers<void>()
    await (listener as Libp2p).handle('/sink/1.0.0', async stream => {
      for await (const chunk of stream) {
        expect(chunk.byteLength).toBe(5)
        echoed.resolve()
      }

      ended.resolve()
    })
    await node.services.identify.identify(connection)

    const stream = await node.services.streamOpener.newStreamOn(connection, '/sink/1.0.0')
    stream.send(bytes('hello'))
    await Promise.all([stream.close(), echoed.promise])
    await (node.services.streamOpener as unknown as Startable).stop()
    await ended.promise
    expect(replacedMethods(stream)).toEqual([])
  })
})
