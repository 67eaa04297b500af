import { afterEach, describe, expect, it, vi } from 'vitest'
import { identify } from '@libp2p/identify'
import { NEGOTIATION_TIMEOUT } from '../src/constants.ts'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, identified, stopNodes, TRANSPORTS } from './support/nodes.ts'
import { handleRaw } from './support/raw-listener.ts'
import { createRelay } from './support/relay.ts'
import { bytes, closed, ECHO, echo, exchange } from './support/streams.ts'
import { turn, turns } from './support/wait.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Connection, Libp2p, StreamMuxer, Stream } from '@libp2p/interface'

let dialer: Libp2p<OpenerServices>
let listener: Libp2p

afterEach(async () => {
  vi.useRealTimers()
  await stopNodes(dialer, listener)
})

function outbound (connection: Connection): string[] {
  return connection.streams.filter(({ direction }) => direction === 'outbound').map(({ protocol }) => protocol)
}

/**
 * Resolves when the listener has no inbound stream left
 */
async function drained (node: Libp2p, peer: Libp2p): Promise<void> {
  const streams = (): number => node.getConnections(peer.peerId).flatMap(({ streams }) => streams).filter(({ direction }) => direction === 'inbound').length

  while (streams() > 0) {
    await turn()
  }
}

describe.each(TRANSPORTS)('aborting the signal over %s', transport => {
  it('rejects before anything is opened', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    const connection = await connectIdentified(dialer, listener)
    const signal = AbortSignal.abort()

    await expect(dialer.services.streamOpener.newStreamOn(connection, ECHO, { signal })).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
    await expect(dialer.services.streamOpener.newStream(listener.peerId, ECHO, { signal })).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
    expect(outbound(connection)).not.toContain(ECHO)
  })

  it.each([
    ['while the muxer creates the stream', ECHO, (connection: Connection) => {
      const { muxer } = connection as unknown as { muxer: StreamMuxer }
      const createStream = muxer.createStream.bind(muxer)
      muxer.createStream = async options => {
        await turns(5)
        return createStream(options)
      }
    }],
    ['while the peer is asked', '/silent/1.0.0', () => {}],
    ['while the peer is asked for several', ['/silent/1.0.0', '/missing/1.0.0'], () => {}],
    ['while libp2p negotiates', '/silent/1.0.0', async (connection: Connection) => {
      await dialer.services.identify.identify(connection)
    }]
  ] as const)('rejects %s', async (_, protocols, prepare) => {
    dialer = await createOpenerNode({}, { services: { identify: identify({ runOnConnectionOpen: false }) } })
    listener = await createStockNode(transport)
    const asked = Promise.withResolvers<void>()
    await handleRaw(listener, '/silent/1.0.0', stream => {
      // over QUIC a reset looks like a FIN
      stream.addEventListener('remoteCloseWrite', () => { stream.abort(new Error('Nobody there')) })
      asked.resolve()
    })
    await listener.unhandle('/silent/1.0.0')
    await listener.handle(ECHO, echo)
    const connection = await dialer.dial(addressOf(listener))
    await prepare(connection)

    const controller = new AbortController()
    const opening = dialer.services.streamOpener.newStreamOn(connection, Array.isArray(protocols) ? [...protocols] : protocols as string, { signal: controller.signal })
    const rejected = expect(opening).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))

    if (protocols === ECHO) {
      await turns(1)
    } else {
      await asked.promise
    }

    controller.abort()
    await rejected
    await turns(20)
    expect(outbound(connection)).toEqual([])
    await drained(listener, dialer)
  })

  it.each([
    ['says when the time is over', (): AbortSignal => AbortSignal.timeout(300), 'TimeoutError'],
    ['has no effect otherwise', (): AbortSignal => AbortSignal.abort(), undefined]
  ])('after the stream was handed out %s', async (_, abort, name) => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    const asked = Promise.withResolvers<Stream>()
    await handleRaw(listener, '/silent/1.0.0', asked.resolve)
    const connection = await connectIdentified(dialer, listener)

    const controller = new AbortController()
    const signal = AbortSignal.any([controller.signal, ...name == null ? [] : [abort()]])
    const stream = await dialer.services.streamOpener.newStreamOn(connection, '/silent/1.0.0', { signal })
    const end = closed(stream)

    if (name == null) {
      controller.abort()
      const inbound = await asked.promise
      expect(stream.status).toBe('open')
      inbound.abort(new Error('Enough'))
      expect((await end).error?.name).not.toBe('AbortError')
    } else {
      expect((await end).error?.name).toBe(name)
    }
  })

  it('rejects or resolves whenever it happens, and leaves no stream behind', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    const connection = await connectIdentified(dialer, listener)
    await dialer.services.streamOpener.newStream(listener.peerId, ECHO).then(stream => { stream.abort(new Error('Warm now')) })
    const outcomes = { opened: 0, aborted: 0 }

    for (let i = 0; i < 300; i++) {
      const controller = new AbortController()
      const opening = dialer.services.streamOpener.newStream(listener.peerId, i % 2 === 0 ? ECHO : ['/missing/1.0.0', '/neither/1.0.0'], { signal: controller.signal })

      void (async () => {
        for (let j = 0; j < i % 30; j++) {
          await Promise.resolve()
        }

        if (i % 3 === 0) {
          await turns(1)
        }

        controller.abort()
      })()

      try {
        const stream = await opening
        outcomes.opened++

        // it was handed out, so the signal is none of its business any more
        await turns(2)
        expect(stream.status).toBe('open')
        expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
      } catch (err: any) {
        expect(err.name).toBeOneOf(['AbortError', 'UnsupportedProtocolError'])
        outcomes.aborted++
      }
    }

    expect(outcomes.opened).toBeGreaterThan(0)
    expect(outcomes.aborted).toBeGreaterThan(0)
    await drained(listener, dialer)
    await turns(20)
    expect(outbound(connection)).toEqual([])
  })
})

describe.each(TRANSPORTS)('a connection over %s that dies between choice and open', transport => {
  /**
   * The connection is chosen while it looks alive
   */
  function dieOnCreate (connection: Connection): void {
    const { muxer } = connection as unknown as { muxer: StreamMuxer }

    muxer.createStream = async () => {
      connection.abort(new Error('Died'))
      await turns(1)
      throw new Error('The muxer has no streams any more')
    }
  }

  it('is replaced by a new one', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)

    for (let i = 0; i < 20; i++) {
      const connection = await connectIdentified(dialer, listener)
      dieOnCreate(connection)

      const stream = await dialer.services.streamOpener.newStream(addressOf(listener), ECHO)
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
      expect(connection.status).not.toBe('open')
      await dialer.hangUp(listener.peerId)
    }
  })

  it('is replaced by another one that is open', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    const first = await connectIdentified(dialer, listener)
    const done = identified(dialer, listener)
    const second = await dialer.dial(addressOf(listener), { force: true })
    await done
    expect(second.id).not.toBe(first.id)

    // it chooses as libp2p does
    const dying = await dialer.dial(listener.peerId)
    const living = dying === first ? second : first
    dieOnCreate(dying)

    const stream = await dialer.services.streamOpener.newStream(listener.peerId, ECHO)
    expect(living.streams.includes(stream)).toBe(true)
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    expect(dialer.getConnections(listener.peerId).map(({ id }) => id)).toEqual([living.id])
  })

  it('is replaced by a new one where a new one was asked for', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    const first = await connectIdentified(dialer, listener)
    dialer.addEventListener('connection:open', evt => { dieOnCreate(evt.detail) }, { once: true })

    const stream = await dialer.services.streamOpener.newStream(addressOf(listener), ECHO, { force: true })
    expect(first.streams).not.toContain(stream)
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('rejects with an Error if the signal aborts with something else while it is replaced', async () => {
    dialer = await createOpenerNode({ maxStreamsPerProtocol: 1 })
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    const first = await connectIdentified(dialer, listener)
    const only = await dialer.services.streamOpener.newStreamOn(first, ECHO)
    const done = identified(dialer, listener)
    const second = await dialer.dial(addressOf(listener), { force: true })
    await done
    dieOnCreate(second)

    const controller = new AbortController()
    const onProgress = ({ type }: { type: string }): void => {
      if (type === 'stream-opener:queued') {
        controller.abort('bye')
      }
    }
    // it waits for the first connection, which has no room
    await expect(dialer.services.streamOpener.newStream(listener.peerId, ECHO, { signal: controller.signal, onProgress })).rejects.toThrow(expect.objectContaining({ name: 'AbortError', message: 'bye', cause: 'bye' }))
    only.abort(new Error('Not needed'))
  })

  it('is given up after the second one died as well', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    await connectIdentified(dialer, listener)
    let died = 0
    dialer.getConnections().forEach(dieOnCreate)
    dialer.addEventListener('connection:open', evt => { dieOnCreate(evt.detail) })
    dialer.addEventListener('connection:close', () => { died++ })

    await expect(dialer.services.streamOpener.newStream(addressOf(listener), ECHO)).rejects.toThrow(expect.objectContaining({ name: 'ConnectionClosedError' }))
    expect(died).toBe(2)
  })

  it('is not replaced once something was written', async () => {
    dialer = await createOpenerNode({}, { services: { identify: identify({ runOnConnectionOpen: false }) } })
    listener = await createStockNode(transport)
    let asked = 0
    await handleRaw(listener, '/deadly/1.0.0', () => {
      asked++
      dialer.getConnections().forEach(connection => { connection.abort(new Error('Died')) })
    })

    await expect(dialer.services.streamOpener.newStream(addressOf(listener), '/deadly/1.0.0')).rejects.toThrow()
    await turns(20)
    expect(asked).toBe(1)
  })

  it('is not replaced for newStreamOn', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    const connection = await connectIdentified(dialer, listener)
    await connection.close()

    await expect(dialer.services.streamOpener.newStreamOn(connection, ECHO)).rejects.toThrow(expect.objectContaining({ name: 'ConnectionClosedError' }))
    expect(dialer.getConnections()).toEqual([])
  })
})

describe('a signal that gives the peer longer than the service does by itself', () => {
  it('does so', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode('tcp')
    await listener.handle(ECHO, echo)
    const relay = await createRelay(addressOf(listener))
    const connection = await connectIdentified(dialer, listener, relay.addr)

    relay.hold()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO, { signal: AbortSignal.timeout(25_000) })
    const answer = exchange(stream, bytes('hello'))
    // longer than the default, and nothing happens
    vi.advanceTimersByTime(NEGOTIATION_TIMEOUT + 500)
    await turns(10)
    vi.useRealTimers()
    relay.release()

    expect(await answer).toEqual(bytes('hello'))
    await relay.close()
  })
})
