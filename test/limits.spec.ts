import fc from 'fast-check'
import { pEvent } from 'p-event'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { forkListener } from './support/fork-listener.ts'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, SOCKET_TRANSPORTS, stopNodes } from './support/nodes.ts'
import { handleRaw, message } from './support/raw-listener.ts'
import { rounds } from './support/rounds.ts'
import { bytes, closed, ECHO, echo, exchange } from './support/streams.ts'
import { turn } from './support/wait.ts'
import type { StreamOpenerInit } from '../src/index.ts'
import type { ForkedListener } from './support/fork-listener.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Connection, Libp2p, PeerId, Stream, StreamMuxer } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'

const SILENT = '/silent/1.0.0'

let dialer: Libp2p<OpenerServices>
let listener: Libp2p

afterEach(async () => {
  await stopNodes(dialer, listener)
})

/**
 * Connects to a listener that may not say in identify all that it handles
 */
async function connect (transport: typeof SOCKET_TRANSPORTS[number], init: StreamOpenerInit = {}, prepare = async (): Promise<void> => {}): Promise<Connection> {
  dialer = await createOpenerNode(init)
  listener = await createStockNode(transport)
  await listener.handle(ECHO, echo)
  await handleRaw(listener, SILENT, () => {})
  await prepare()

  return connectIdentified(dialer, listener)
}

/**
 * Handles a protocol that identify does not name, and does not answer it
 */
async function handleUnnamed (protocol: string): Promise<void> {
  await handleRaw(listener, protocol, () => {})
  await listener.unhandle(protocol)
}

async function open (protocol = ECHO, options = {}): Promise<Stream> {
  return dialer.services.streamOpener.newStream(listener.peerId, protocol, options)
}

function status (): { open: number, negotiating: number, queued: number } {
  const { open, negotiating, queued } = dialer.services.streamOpener.status(listener.peerId)

  return { open, negotiating, queued }
}

const NOTHING = { open: 0, negotiating: 0, queued: 0 }

function outbound (connection: Connection, protocol: string): Stream[] {
  return connection.streams.filter(stream => stream.direction === 'outbound' && stream.protocol === protocol)
}

function nameOf (result: PromiseSettledResult<unknown>): string {
  return result.status === 'rejected' ? result.reason.name : 'fulfilled'
}

/**
 * From here on identify is always on its way
 */
function silenceIdentify (node: Libp2p<OpenerServices>): void {
  node.services.identify.identify = async () => new Promise(() => {})
}

describe.each(SOCKET_TRANSPORTS)('a burst of streams over %s, with every default untouched at both ends', transport => {
  let forked: ForkedListener

  beforeAll(async () => {
    forked = await forkListener(transport)
  })

  afterAll(async () => {
    await forked.stop()
  })

  it.each([rounds(500), rounds(5_000)])('%d at once all succeed, in the order of asking, 32 at a time', async count => {
    dialer = await createOpenerNode()
    const [connection] = await Promise.all([dialer.dial(forked.addr), pEvent(dialer as any, 'peer:identify')])
    const served: number[] = []
    let most = 0

    await Promise.all(Array.from({ length: count }, async (_, i) => {
      const stream = await dialer.services.streamOpener.newStream(connection.remotePeer, ECHO, {
        onProgress: evt => {
          if (evt.type === 'stream-opener:optimistic') {
            served.push(i)
          }
        }
      })
      most = Math.max(most, outbound(connection, ECHO).length)

      expect(await exchange(stream, bytes(`${i}`))).toEqual(bytes(`${i}`))
    }))

    expect(served).toEqual(Array.from({ length: count }, (_, i) => i))
    expect(most).toBe(32)
    expect(dialer.services.streamOpener.status(connection.remotePeer)).toMatchObject(NOTHING)
  })

  it('200 straight after the dial all succeed, again and again', async () => {
    const { addr } = forked

    for (let i = 0; i < rounds(100, 20); i++) {
      const node = dialer = await createOpenerNode()

      // nobody waits for identify, so the listener may still be setting up
      await Promise.all(Array.from({ length: 200 }, async () => {
        const stream = await node.services.streamOpener.newStream(addr, ECHO)
        expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
      }))

      expect(node.getConnections()).toHaveLength(1)
      await node.stop()
    }
  })
})

describe.each(SOCKET_TRANSPORTS)('a peer over %s that never answers', transport => {
  const PEERS = rounds(50, 5)
  let others: Libp2p[]

  beforeAll(async () => {
    others = await Promise.all(Array.from({ length: PEERS }, async () => {
      const node = await createStockNode(transport)
      await node.handle(ECHO, echo)

      return node
    }))
  })

  afterAll(async () => {
    await stopNodes(...others)
  })

  it.each(['known', 'unknown'])('does not hold up others with 1,000 streams of a protocol that is %s', async how => {
    await connect(transport, { negotiationTimeout: 600_000, queueTimeout: 600_000 }, async () => handleUnnamed('/unnamed/1.0.0'))
    const protocols = how === 'known' ? SILENT : ['/unnamed/1.0.0', '/other/1.0.0']

    await Promise.all(others.map(async other => dialer.dial(addressOf(other))))

    const controller = new AbortController()
    const opened: Stream[] = []
    const opening = Promise.allSettled(Array.from({ length: 1_000 }, async () => {
      const stream = await dialer.services.streamOpener.newStream(listener.peerId, protocols, { signal: controller.signal })
      opened.push(stream)
    }))
    await turn()

    await Promise.all(others.map(async ({ peerId }) => {
      const stream = await dialer.services.streamOpener.newStream(peerId, ECHO)
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    }))

    expect(opened).toHaveLength(how === 'known' ? 32 : 0)
    expect(status().queued).toBe(968)
    expect(status().negotiating).toBe(how === 'known' ? 0 : 32)

    controller.abort()
    opened.forEach(stream => { stream.abort(new Error('Enough')) })
    const names = (await opening).map(nameOf)
    expect(names.filter(name => name === 'AbortError')).toHaveLength(1_000 - opened.length)
    expect(status()).toStrictEqual(NOTHING)
    expect(dialer.getConnections(listener.peerId).flatMap(({ streams }) => streams).filter(({ direction }) => direction === 'outbound')).toEqual([])

    const stream = await open()
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })
})

it('a handshake counts, though the call was not to wait', async () => {
  const connection = await connect('tcp', { maxNegotiationsPerPeer: 3 })
  const protocols = Array.from({ length: 4 }, (_, i) => `/silent/${i}`)
  await Promise.all(protocols.map(handleUnnamed))
  await dialer.services.identify.identify(connection)
  const controller = new AbortController()
  const { signal } = controller
  const calls = protocols.map(async protocol => open(protocol, { queue: false, signal }))
  await turn()
  expect(status()).toStrictEqual({ open: 4, negotiating: 4, queued: 0 })

  calls.push(open('/silent/4', { signal }))
  await turn()
  expect(status()).toStrictEqual({ open: 4, negotiating: 4, queued: 1 })

  controller.abort()
  expect((await Promise.allSettled(calls)).map(nameOf)).toEqual(calls.map(() => 'AbortError'))
  expect(status()).toStrictEqual(NOTHING)
})

describe.each(SOCKET_TRANSPORTS)('the limit of streams over %s', transport => {
  it('times out with an error that explains it when none is ever closed', async () => {
    const connection = await connect(transport, { maxStreamsPerProtocol: 3, queueTimeout: 100 })
    const streams = await Promise.all([open(), open(), open()])

    await expect(open()).rejects.toThrow(expect.objectContaining({
      name: 'QueueTimeoutError',
      message: `None of the 3 open streams of ${ECHO} was closed within 100ms - close those that are not needed any more, or raise maxStreamsPerProtocol, which is 3, if the peer accepts more`
    }))
    await expect(open(ECHO, { maxOutboundStreams: 2, queueTimeout: 10 })).rejects.toThrow('raise maxOutboundStreams, which is 2')
    expect(outbound(connection, ECHO)).toHaveLength(3)
    expect(status()).toStrictEqual({ open: 3, negotiating: 0, queued: 0 })

    for (const stream of streams) {
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    }
  })

  it('serves exactly the next one for each that is closed', async () => {
    await connect(transport, { maxStreamsPerProtocol: 2 })
    const first = await Promise.all([open(), open()])
    const served: number[] = []
    const waiting = Array.from({ length: 5 }, async (_, i) => {
      const stream = await open()
      served.push(i)

      return stream
    })

    expect(served).toEqual([])

    for (const [i, stream] of [...first, ...waiting.slice(0, 3)].entries()) {
      await exchange(await stream, bytes('hello'))
      await waiting[i]
      await turn()
      expect(served).toEqual(Array.from({ length: i + 1 }, (_, n) => n))
      expect(status()).toStrictEqual({ open: 2, negotiating: 0, queued: 4 - i })
    }
  })

  it('is for each protocol, and each connection', async () => {
    const connection = await connect(transport, { maxStreamsPerProtocol: 1 }, async () => listener.handle('/other/1.0.0', echo))
    const [second] = await Promise.all([dialer.dial(addressOf(listener), { force: true }), pEvent(dialer as any, 'peer:identify')])
    const { streamOpener } = dialer.services

    for (const c of [connection, second]) {
      for (const protocol of [ECHO, '/other/1.0.0']) {
        await streamOpener.newStreamOn(c, protocol, { queue: false })
        await expect(streamOpener.newStreamOn(c, protocol, { queue: false })).rejects.toThrow(expect.objectContaining({
          name: 'TooManyOutboundProtocolStreamsError',
          message: `Too many outbound protocol streams for protocol "${protocol}" - 2/1`
        }))
      }
    }

    expect(status().open).toBe(4)
  })

  it('serves higher priorities first', async () => {
    await connect(transport, { maxStreamsPerProtocol: 1 })
    const first = await open()
    const served: string[] = []
    const waiting = Promise.all([['default', undefined], ['low', 49], ['high', 51]].map(async ([name, priority]) => {
      const stream = await open(ECHO, { priority })
      served.push(String(name))
      await exchange(stream, bytes('hello'))
    }))

    await exchange(first, bytes('hello'))
    await waiting
    expect(served).toEqual(['high', 'default', 'low'])
  })

  it('has a queue that can be full', async () => {
    await connect(transport, { maxStreamsPerProtocol: 1, maxQueuedPerPeer: 2 })
    const first = await open()
    const waiting = [open(), open()]

    await expect(open()).rejects.toThrow(expect.objectContaining({
      name: 'QueueFullError',
      message: `2 calls are waiting to open streams to ${listener.peerId.toString()} already - open fewer at a time, or raise maxQueuedPerPeer`
    }))

    await exchange(first, bytes('hello'))

    for (const stream of waiting) {
      expect(await exchange(await stream, bytes('hello'))).toEqual(bytes('hello'))
    }
  })

  it('is not that of libp2p where libp2p negotiates', async () => {
    const connection = await connect(transport, { negotiation: 'full', maxStreamsPerProtocol: 3 }, async () => {
      await listener.unhandle(ECHO)
      await listener.handle(ECHO, echo, { maxInboundStreams: 100 })
    })

    // of somebody else
    for (let i = 0; i < 5; i++) {
      await connection.newStream(ECHO)
    }

    expect(await exchange(await open(), bytes('hello'))).toEqual(bytes('hello'))
  })

  it('is never above what libp2p allows to a handler', async () => {
    await connect(transport, { maxStreamsPerProtocol: 100, queueTimeout: 50 }, async () => {
      await listener.unhandle(ECHO)
      await listener.handle(ECHO, echo, { maxInboundStreams: 100 })
    })
    await dialer.handle(ECHO, echo)
    await Promise.all(Array.from({ length: 64 }, async () => open()))
    await expect(open()).rejects.toThrow(expect.objectContaining({ name: 'QueueTimeoutError' }))
  })

  it('never lets a handler have more than it wants', async () => {
    await connect(transport)
    await dialer.handle(ECHO, echo, { maxOutboundStreams: 0 })
    await expect(open()).rejects.toThrow(expect.objectContaining({ name: 'TooManyOutboundProtocolStreamsError', message: `Too many outbound protocol streams for protocol "${ECHO}" - 1/0` }))
    expect(status()).toStrictEqual(NOTHING)
  })
})

describe.each(SOCKET_TRANSPORTS)('a permit over %s comes back once', transport => {
  /**
   * What can end a stream, or keep it from being opened
   */
  const ends: Record<string, (connection: Connection) => Promise<void>> = {
    'when both ends have closed': async () => {
      await exchange(await open(), bytes('hello'))
    },
    'when it is aborted': async () => {
      (await open()).abort(new Error('Enough'))
    },
    'when it is aborted after it was closed': async () => {
      const stream = await open()
      await stream.close()
      stream.abort(new Error('Enough'))
    },
    'when the peer resets it': async () => {
      await open('/reset/1.0.0').then(async stream => {
        // over QUIC this looks like the end of the answer
        await Promise.race([closed(stream), pEvent(stream as any, 'remoteCloseWrite')])
        await stream.close()
      }, err => {
        // the reset has overtaken the echo, now or before
        expect(err.name).toBeOneOf(['UnexpectedEOFError', 'StreamResetError'])
      })
    },
    'when the peer does not speak the protocol after all': async () => {
      // it only goes that far for the first time
      await open('/refused/1.0.0').then(closed, err => { expect(err.name).toBe('UnsupportedProtocolError') })
    },
    'when the peer does not speak the protocol at all': async () => {
      await expect(open('/missing/1.0.0')).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
    },
    'when the signal is aborted while libp2p negotiates': async () => {
      await expect(open('/unnamed/1.0.0', { signal: AbortSignal.timeout(1) })).rejects.toThrow()
    },
    'when middleware throws': async () => {
      const { registrar } = (dialer as unknown as { components: { registrar: Registrar } }).components
      registrar.use('/middleware/1.0.0', [() => { throw new Error('Not with me') }])
      await expect(open('/middleware/1.0.0')).rejects.toThrow('Not with me')
    },
    'when the muxer can not create it': async connection => {
      const { muxer } = connection as unknown as { muxer: { createStream(): Promise<Stream> } }
      const { createStream } = muxer
      muxer.createStream = async () => { throw new Error('No more') }
      await expect(dialer.services.streamOpener.newStreamOn(connection, ECHO)).rejects.toThrow('No more')
      muxer.createStream = createStream
    },
    'when the progress listener throws': async () => {
      for (const type of ['stream-opener:optimistic', 'connection:open-stream', 'connection:opened-stream']) {
        await expect(open(ECHO, {
          onProgress: (evt: { type: string }) => {
            if (evt.type === type) {
              throw new Error('Not interested')
            }
          }
        })).rejects.toThrow('Not interested')
      }
    },
    'when middleware has replaced it': async () => {
      const { registrar } = (dialer as unknown as { components: { registrar: Registrar } }).components
      let close = (): void => {}

      // it does not say when it is closed
      registrar.use('/unnamed-echo/1.0.0', [(stream, connection, next) => {
        close = () => { stream.abort(new Error('Enough')) }
        next({ protocol: stream.protocol, status: 'open', id: stream.id, log: stream.log, addEventListener: () => {} } as any, connection)
      }])
      await open('/unnamed-echo/1.0.0')
      close()
      registrar.unuse('/unnamed-echo/1.0.0')
    }
  }

  it.each(Object.keys(ends))('%s', async how => {
    const connection = await connect(transport, { maxStreamsPerProtocol: 1 }, async () => {
      await listener.handle('/reset/1.0.0', stream => { stream.abort(new Error('Go away')) })
      await handleRaw(listener, '/refused/1.0.0', stream => { stream.send(Uint8Array.from([...message('/multistream/1.0.0\n'), ...message('na\n')])) })
      await handleUnnamed('/unnamed/1.0.0')
      await listener.handle('/middleware/1.0.0', echo)
    })
    await listener.handle('/unnamed-echo/1.0.0', echo)

    for (let i = 0; i < 3; i++) {
      await ends[how]?.(connection)
    }

    // twice would be one too many now
    const streams = await Promise.all(['/middleware/1.0.0', ECHO].map(async protocol => {
      return how === 'when middleware throws' ? undefined : open(protocol)
    }))
    expect(status()).toStrictEqual({ open: streams.filter(stream => stream != null).length, negotiating: 0, queued: 0 })

    streams.forEach(stream => stream?.abort(new Error('Enough')))
    expect(status()).toStrictEqual(NOTHING)
  })

  it('when the connection is lost, with the streams and calls that were on it', async () => {
    const connection = await connect(transport, { maxStreamsPerProtocol: 2 })
    const { streamOpener } = dialer.services
    await Promise.all([streamOpener.newStreamOn(connection, ECHO), streamOpener.newStreamOn(connection, SILENT)])
    const waiting = Promise.allSettled(Array.from({ length: 100 }, async () => streamOpener.newStreamOn(connection, ECHO)))

    connection.abort(new Error('Lost'))
    const results = await waiting
    expect(new Set(results.slice(1).map(nameOf))).toStrictEqual(new Set(['ConnectionClosedError']))
    expect(status()).toStrictEqual(NOTHING)
  })
})

describe.each(SOCKET_TRANSPORTS)('a call that waits over %s', transport => {
  /**
   * Takes the only permit, and queues
   */
  async function fillQueue (count: number, signal?: AbortSignal): Promise<{ first: Stream, settled: Array<Promise<PromiseSettledResult<Stream>>>, count(): number }> {
    const first = await open()
    let settlements = 0

    const settled = Array.from({ length: count }, async () => {
      const [result] = await Promise.allSettled([open(ECHO, { signal })])
      settlements++

      return result
    })

    await turn()
    expect(status().queued).toBe(count)

    return { first, settled, count: () => settlements }
  }

  it('leaves the queue when its signal aborts', async () => {
    await connect(transport, { maxStreamsPerProtocol: 1 })
    const controller = new AbortController()
    const { first, settled, count } = await fillQueue(200, controller.signal)
    const last = open()

    controller.abort()
    expect(new Set((await Promise.all(settled)).map(nameOf))).toStrictEqual(new Set(['AbortError']))
    expect(status()).toStrictEqual({ open: 1, negotiating: 0, queued: 1 })

    await exchange(first, bytes('hello'))
    expect(await exchange(await last, bytes('hello'))).toEqual(bytes('hello'))
    expect(count()).toBe(200)
    expect(status()).toStrictEqual(NOTHING)
  })

  it('opens nothing on a connection that somebody has begun to close', async () => {
    const connection = await connect(transport, { maxStreamsPerProtocol: 1 })
    const { first, settled } = await fillQueue(1)
    const unconfirmed = await dialer.services.streamOpener.newStreamOn(connection, SILENT)
    unconfirmed.send(bytes('hello'))
    const opened = new Set(connection.streams)
    const created: string[] = []
    const { muxer } = connection as unknown as { muxer: StreamMuxer }
    const createStream = muxer.createStream.bind(muxer)
    muxer.createStream = async options => {
      created.push('one more')

      return createStream(options)
    }

    const closing = connection.close()
    expect(connection.status).toBe('open')
    first.abort(new Error('Makes room'))

    // a connection that is not being closed is dialled instead
    const [result] = await Promise.all(settled)
    expect(nameOf(result as PromiseSettledResult<Stream>)).toBe('fulfilled')
    expect(opened).not.toContain((result as PromiseFulfilledResult<Stream>).value)
    expect(created).toEqual([])
    await closing
  })

  it('is served by another connection when its own is closed', async () => {
    const connection = await connect(transport, { maxStreamsPerProtocol: 1 })
    const { settled, count } = await fillQueue(50)
    const [other] = await Promise.all([dialer.dial(addressOf(listener), { force: true }), pEvent(dialer as any, 'peer:identify')])
    expect(other.id).not.toBe(connection.id)

    connection.abort(new Error('Lost'))

    await Promise.all(settled.map(async opening => {
      const result = await opening
      expect(nameOf(result)).toBe('fulfilled')
      await exchange((result as PromiseFulfilledResult<Stream>).value, bytes('hello'))
    }))

    expect(count()).toBe(50)
    expect(status()).toStrictEqual(NOTHING)
  })

  it('is served when its connection is closed just before or after somebody has given up dialling the peer', async () => {
    await connect(transport, { maxStreamsPerProtocol: 1 })

    for (let microtasks = 0; microtasks < 40; microtasks++) {
      const connection = await dialer.dial(addressOf(listener))
      const blocking = await open()
      const waiting = dialer.services.streamOpener.newStream(addressOf(listener), ECHO)
      await turn()
      expect(status().queued).toBe(1)

      const controller = new AbortController()
      const dialling = dialer.dial(addressOf(listener), { force: true, signal: controller.signal })
      connection.abort(new Error('Lost'))

      for (let i = 0; i < microtasks; i++) {
        await Promise.resolve()
      }

      controller.abort()
      await expect(dialling).rejects.toHaveProperty('name', 'AbortError')
      expect(await exchange(await waiting, bytes('hello'))).toEqual(bytes('hello'))
      expect(blocking.status).toBe('aborted')
    }
  })

  it('is rejected when the peer is gone altogether', async () => {
    const connection = await connect(transport, { maxStreamsPerProtocol: 1 })
    const { settled, count } = await fillQueue(200)

    await listener.stop()
    await closedConnection(connection)
    const names = (await Promise.all(settled)).map(nameOf)
    expect(names).not.toContain('fulfilled')
    expect(count()).toBe(200)
    expect(status()).toStrictEqual(NOTHING)
  })

  it('is rejected when the node stops', async () => {
    await connect(transport, { maxStreamsPerProtocol: 1 })
    const { settled, count } = await fillQueue(200)

    await dialer.stop()
    expect(new Set((await Promise.all(settled)).map(nameOf))).toStrictEqual(new Set(['AbortError']))
    expect(count()).toBe(200)
  })

  it('says so', async () => {
    await connect(transport, { maxStreamsPerProtocol: 1 })
    const first = await open()
    const events: string[] = []
    const opening = open(ECHO, { onProgress: (evt: { type: string }) => { events.push(evt.type) } })

    await turn()
    expect(events.filter(type => type.startsWith('stream-opener:'))).toEqual(['stream-opener:queued'])
    await exchange(first, bytes('hello'))
    await exchange(await opening, bytes('hello'))
    expect(events.filter(type => type.startsWith('stream-opener:'))).toEqual(['stream-opener:queued', 'stream-opener:dequeued', 'stream-opener:optimistic'])
  })

  it('may make room by itself, or give up, as soon as it hears that there is none', async () => {
    await connect(transport, { maxStreamsPerProtocol: 1 })
    const first = await open()
    const second = await open(ECHO, {
      onProgress: (evt: { type: string }) => {
        if (evt.type === 'stream-opener:queued') {
          first.abort(new Error('Enough'))
        }
      }
    })
    const controller = new AbortController()

    await expect(open(ECHO, {
      signal: controller.signal,
      onProgress: (evt: { type: string }) => {
        if (evt.type === 'stream-opener:queued') {
          controller.abort()
        }
      }
    })).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))

    await expect(open(ECHO, {
      onProgress: (evt: { type: string }) => {
        if (evt.type === 'stream-opener:queued') {
          throw new Error('Not interested')
        }
      }
    })).rejects.toThrow('Not interested')

    expect(await exchange(second, bytes('hello'))).toEqual(bytes('hello'))
    expect(await exchange(await open(), bytes('hello'))).toEqual(bytes('hello'))
    expect(status()).toStrictEqual(NOTHING)
  })

  it('goes on with a protocol that the peer has come to speak', async () => {
    const connection = await connect(transport, { maxNegotiationsPerPeer: 1 }, async () => handleUnnamed('/unnamed/1.0.0'))
    const controller = new AbortController()
    const negotiating = Promise.allSettled([open('/unnamed/1.0.0', { signal: controller.signal })])
    const waiting = open('/new/1.0.0')
    await turn()
    expect(status()).toMatchObject({ negotiating: 1, queued: 1 })

    await listener.handle('/new/1.0.0', echo)
    await dialer.services.identify.identify(connection)
    expect(await exchange(await waiting, bytes('hello'))).toEqual(bytes('hello'))
    expect(status()).toMatchObject({ negotiating: 1, queued: 0 })
    controller.abort()
    await negotiating
  })
})

async function closedConnection (connection: Connection): Promise<void> {
  if (connection.status === 'open' || connection.status === 'closing') {
    await pEvent(connection as any, 'close')
  }
}

describe.each(SOCKET_TRANSPORTS)('whatever happens over %s', transport => {
  const step = fc.record({
    do: fc.oneof({ weight: 6, arbitrary: fc.constant('open') }, { weight: 2, arbitrary: fc.constant('close') }, { weight: 2, arbitrary: fc.constant('abort stream') }, fc.constant('reset'), fc.constant('abort call'), fc.constant('disconnect')),
    which: fc.nat(1_000),
    protocol: fc.constantFrom(ECHO, '/other/1.0.0')
  })

  it('permits in use are those of streams that are open, and nobody is left in the queue', async () => {
    dialer = await createOpenerNode({ maxStreamsPerProtocol: 3 })
    listener = await createStockNode(transport)
    await Promise.all([ECHO, '/other/1.0.0'].map(async protocol => listener.handle(protocol, echo)))
    const outcomes = new Map<string, number>()

    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async steps => {
      const streams: Stream[] = []
      const calls: Array<{ controller: AbortController, promise: Promise<void>, settled: number }> = []
      const pick = <T> (list: T[], which: number): T | undefined => list[which % Math.max(1, list.length)]

      if (dialer.getConnections().length === 0) {
        await connectIdentified(dialer, listener)
      }

      for (const { do: what, which, protocol } of steps) {
        switch (what) {
          case 'open': {
            const controller = new AbortController()
            const call = {
              controller,
              settled: 0,
              promise: dialer.services.streamOpener.newStream(addressOf(listener), protocol, { signal: controller.signal }).then(stream => {
                outcomes.set('opened', (outcomes.get('opened') ?? 0) + 1)
                streams.push(stream)
              }, err => {
                outcomes.set(err.name, (outcomes.get(err.name) ?? 0) + 1)
              }).finally(() => { call.settled++ })
            }
            calls.push(call)
            break
          }
          case 'close':
            void pick(streams, which)?.close().catch(() => {})
            break
          case 'abort stream':
            pick(streams, which)?.abort(new Error('Enough'))
            break
          case 'reset':
            pick(listener.getConnections().flatMap(({ streams }) => streams).filter(({ protocol }) => protocol === ECHO), which)?.abort(new Error('Go away'))
            break
          case 'abort call':
            pick(calls, which)?.controller.abort()
            break
          case 'disconnect':
            pick(dialer.getConnections(), which)?.abort(new Error('Lost'))
            break
          default:
            throw new Error('Unknown step')
        }

        if (which % 2 === 0) {
          await turn()
        }

        for (const connection of dialer.getConnections()) {
          expect(outbound(connection, ECHO).length).toBeLessThanOrEqual(3)
          expect(outbound(connection, '/other/1.0.0').length).toBeLessThanOrEqual(3)
        }
      }

      // close everything that there is until nobody waits any more
      while (calls.some(({ settled }) => settled === 0)) {
        streams.forEach(stream => { stream.abort(new Error('Enough')) })
        await turn()
      }

      streams.forEach(stream => { stream.abort(new Error('Enough')) })

      // a QUIC stream that nobody waits for any more may still be on its way
      while (status().open > 0) {
        await turn()
      }

      expect(calls.every(({ settled }) => settled === 1)).toBe(true)
      expect(status()).toStrictEqual(NOTHING)
      expect(dialer.getConnections().flatMap(connection => [...outbound(connection, ECHO), ...outbound(connection, '/other/1.0.0')])).toEqual([])
    }), { numRuns: rounds(150, 5), endOnFailure: true })

    expect([...outcomes.keys()]).toEqual(expect.arrayContaining(['opened', 'AbortError']))
  })
})

it('status() names every peer that is connected, and what it speaks', async () => {
  await connect('tcp')
  const peers: PeerId[] = []

  for (const peerStatus of dialer.services.streamOpener.status()) {
    peers.push(peerStatus.peerId)
    expect(peerStatus).toMatchObject(NOTHING)
    expect(peerStatus.protocols).toEqual(expect.arrayContaining([ECHO, SILENT, '/ipfs/id/1.0.0']))
  }

  expect(peers.map(String)).toEqual([listener.peerId.toString()])
  expect(dialer.services.streamOpener.status(dialer.peerId)).toStrictEqual({ peerId: dialer.peerId, ...NOTHING, protocols: [], connections: [] })
})

it.each(SOCKET_TRANSPORTS)('the permit of a handshake over %s comes back before middleware runs, which may open streams itself', async transport => {
  dialer = await createOpenerNode()
  listener = await createStockNode(transport)
  await listener.handle(ECHO, echo)
  silenceIdentify(dialer)
  const connection = await dialer.dial(addressOf(listener))
  const { registrar } = (dialer as unknown as { components: { registrar: Registrar } }).components
  const paths: string[] = []
  let seen: unknown
  registrar.use(ECHO, [(stream, connection, next) => {
    seen = status()
    next(stream, connection)
  }])

  const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO, { onProgress: evt => { paths.push(evt.type) } })
  expect(paths).toContain('stream-opener:early')
  expect(seen).toStrictEqual({ open: 1, negotiating: 0, queued: 0 })
  expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
})
