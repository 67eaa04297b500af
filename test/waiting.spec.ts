import { identifyPush } from '@libp2p/identify'
import { yamux } from '@libp2p/yamux'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { pushProtocols } from './support/identify-push.ts'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, identified, SOCKET_TRANSPORTS, stopNodes } from './support/nodes.ts'
import { handleRaw } from './support/raw-listener.ts'
import { bytes, closed, ECHO, echo, exchange } from './support/streams.ts'
import { turn } from './support/wait.ts'
import type { OpenStreamOnOptions, StreamOpenerInit } from '../src/index.ts'
import type { NodeInit, OpenerServices } from './support/nodes.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const LONG = '/long/1.0.0'
const UNNAMED = '/unnamed/1.0.0'
const SILENT = '/silent/1.0.0'
const NOTHING = { open: 0, negotiating: 0, queued: 0 }

let dialer: Libp2p<OpenerServices>
let listener: Libp2p
const others: Libp2p[] = []

afterEach(async () => {
  await stopNodes(dialer, listener, ...others.splice(0))
})

async function connect (init: StreamOpenerInit = {}, node: NodeInit = {}, transport: typeof SOCKET_TRANSPORTS[number] = 'tcp'): Promise<Connection> {
  dialer = await createOpenerNode(init, node)
  listener = await createStockNode(transport)
  await listener.handle(ECHO, echo)
  await listener.handle(LONG, () => {}, { maxInboundStreams: 2_000 })

  return connectIdentified(dialer, listener)
}

/**
 * A node that knows nothing of the service, connected to the same listener
 */
async function connectStock (node: NodeInit = {}): Promise<Connection> {
  const stock = await createStockNode(undefined, node)
  others.push(stock)

  return connectIdentified(stock, listener)
}

function status (): { open: number, negotiating: number, queued: number } {
  const { open, negotiating, queued } = dialer.services.streamOpener.status(listener.peerId)

  return { open, negotiating, queued }
}

async function outcome (opening: Promise<unknown>): Promise<string> {
  return opening.then(() => 'opened', err => err.name)
}

describe('an intercepted call that libp2p would not let wait', () => {
  it.each([0, 20])('opens 36 of 36 long-lived streams with a signal of a second and a half, as stock, %i at once', async atOnce => {
    const connection = await connect({ intercept: true })
    const results: string[][] = []
    const times: number[] = []

    for (const { newStream } of [connection, await connectStock()]) {
      const outcomes: string[] = []
      times.push(performance.now())

      for (let i = 0; i < 36; i += Math.max(1, atOnce)) {
        outcomes.push(...await Promise.all(Array.from({ length: Math.min(Math.max(1, atOnce), 36 - i) }, async () => outcome(newStream(LONG, { signal: AbortSignal.timeout(1_500) })))))
      }

      results.push(outcomes)
      times.push(performance.now())
    }

    expect(results[0]).toEqual(Array.from({ length: 36 }, () => 'opened'))
    expect(results[0]).toEqual(results[1])

    // only the first one has waited for half a second
    const [from = 0, to = Infinity] = times
    expect(to - from).toBeLessThan(1_900)
  })

  it('does not wait for handshakes that the peer does not answer either', async () => {
    dialer = await createOpenerNode({ intercept: true, maxNegotiationsPerPeer: 2 })
    listener = await createStockNode('tcp')
    // identify does not name it
    await handleRaw(listener, SILENT, () => {})
    await listener.unhandle(SILENT)
    const connection = await connectIdentified(dialer, listener)
    const controller = new AbortController()
    const silent = Array.from({ length: 2 }, async () => outcome(connection.newStream(SILENT, { signal: controller.signal })))

    expect(await outcome(connection.newStream('/unknown/1.0.0', { signal: AbortSignal.timeout(1_500) }))).toBe('UnsupportedProtocolError')
    controller.abort()
    expect(await Promise.all(silent)).toEqual(['AbortError', 'AbortError'])
    expect(status()).toStrictEqual(NOTHING)
  })

  it('waits as long as streams of its protocol are being closed', async () => {
    const connection = await connect({ intercept: true, maxStreamsPerProtocol: 1 })
    const first = await connection.newStream(LONG)
    const paths: string[] = []
    const streams: Stream[] = []
    const opening = Array.from({ length: 4 }, async () => {
      const stream = await connection.newStream(LONG, { onProgress: (evt: { type: string }) => { paths.push(evt.type) } })
      streams.push(stream)
    })

    let stream: Stream | undefined = first

    while (stream != null) {
      // more than a second in all
      await new Promise<void>(resolve => { setTimeout(resolve, 300) })
      stream.abort(new Error('Enough'))
      await turn()
      stream = streams.shift()
    }

    await Promise.all(opening)
    expect(paths.filter(type => type === 'stream-opener:optimistic')).toHaveLength(4)
  })
})

describe('a peer that changes its mind', () => {
  it('does not keep a call from timing out', async () => {
    dialer = await createOpenerNode({ queueTimeout: 600, maxStreamsPerProtocol: 1 }, { services: { identifyPush: identifyPush() } })
    listener = await createStockNode('tcp')
    const protocols = ['/a', '/b']
    await Promise.all(protocols.map(async protocol => listener.handle(protocol, () => {})))
    const connection = await connectIdentified(dialer, listener)
    const [back] = listener.getConnections(dialer.peerId) as [Connection]

    for (const protocol of protocols) {
      await dialer.services.streamOpener.newStreamOn(connection, protocol)
    }

    let pushes = 0
    const calling = outcome(dialer.services.streamOpener.newStreamOn(connection, protocols))

    while (status().queued > 0 && pushes < 1_000) {
      await Promise.all([identified(dialer, listener), pushProtocols(back, [protocols[pushes++ % 2] ?? '', '/ipfs/id/push/1.0.0'])])
    }

    expect(await calling).toBe('QueueTimeoutError')
    expect(pushes).toBeGreaterThan(1)
  })
})

describe.each(SOCKET_TRANSPORTS)('whoever listens for progress over %s', transport => {
  const EVENTS = ['stream-opener:queued', 'stream-opener:dequeued', 'stream-opener:optimistic', 'stream-opener:full', 'stream-opener:early', 'connection:open-stream', 'connection:opened-stream']

  /**
   * Opens a stream in the way that has the event
   */
  async function openFor (type: string, connection: Connection, options: OpenStreamOnOptions): Promise<Stream> {
    const { streamOpener } = dialer.services
    const isQueued = type.endsWith('queued')
    const first = isQueued ? await streamOpener.newStreamOn(connection, ECHO) : undefined
    const opening = streamOpener.newStreamOn(connection, type.endsWith(':full') ? UNNAMED : ECHO, options)
    opening.catch(() => {})
    await turn()
    first?.abort(new Error('Enough'))

    return opening
  }

  async function connectFor (type: string): Promise<Connection> {
    const connection = await connect({ maxStreamsPerProtocol: 1 }, {}, transport)

    if (type.endsWith(':early')) {
      dialer.services.identify.identify = async () => new Promise(() => {})
      await dialer.hangUp(connection.remotePeer)

      return dialer.dial(addressOf(listener))
    }

    return connection
  }

  /**
   * Over QUIC a stream that is not wanted any more is still being created
   */
  async function nothingIsLeft (connection: Connection): Promise<void> {
    await vi.waitFor(() => {
      expect(status()).toStrictEqual(NOTHING)
      expect(connection.streams.filter(({ direction, protocol }) => direction === 'outbound' && protocol === ECHO)).toEqual([])
    })
  }

  it.each(EVENTS)('may throw at %s, and nothing is left', async type => {
    const connection = await connectFor(type)
    const seen: string[] = []

    await expect(openFor(type, connection, {
      onProgress: (evt: { type: string }) => {
        seen.push(evt.type)

        if (evt.type === type) {
          throw new Error('Not interested')
        }
      }
    })).rejects.toThrow('Not interested')

    expect(seen).toContain(type)
    await nothingIsLeft(connection)
    expect(await exchange(await openFor('', connection, {}), bytes('hello'))).toEqual(bytes('hello'))
  })

  it.each(EVENTS)('may abort the call at %s, and nothing is left', async type => {
    const connection = await connectFor(type)
    const controller = new AbortController()

    const opening = openFor(type, connection, {
      signal: controller.signal,
      onProgress: (evt: { type: string }) => {
        if (evt.type === type) {
          controller.abort()
        }
      }
    })

    // what is handed out is beyond the signal
    if (type === 'connection:opened-stream') {
      (await opening).abort(new Error('Enough'))
    } else {
      await expect(opening).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
    }

    await nothingIsLeft(connection)
  })

  it.each([
    ['closes the connection', async (connection: Connection) => { connection.abort(new Error('Enough')) }, 'ConnectionClosedError'],
    ['stops the service', async () => { await (dialer.services.streamOpener as unknown as { stop(): Promise<void> }).stop() }, 'AbortError']
  ])('may do so as it %s when the call is to wait, which then does not', async (_, act, name) => {
    const connection = await connect({ maxStreamsPerProtocol: 1 }, {}, transport)
    await dialer.services.streamOpener.newStreamOn(connection, ECHO)

    expect(await outcome(dialer.services.streamOpener.newStreamOn(connection, ECHO, {
      onProgress: evt => {
        if (evt.type === 'stream-opener:queued') {
          void act(connection)
        }
      }
    }))).toBe(name)
    expect(status()).toMatchObject({ negotiating: 0, queued: 0 })
  })

  it('gives up its place in the queue at once when it throws', async () => {
    const connection = await connect({ maxStreamsPerProtocol: 1, maxQueuedPerPeer: 1 }, {}, transport)
    const first = await dialer.services.streamOpener.newStreamOn(connection, ECHO)

    for (let i = 0; i < 5; i++) {
      await expect(dialer.services.streamOpener.newStreamOn(connection, ECHO, {
        onProgress: evt => {
          if (evt.type === 'stream-opener:queued') {
            throw new Error('Not interested')
          }
        }
      })).rejects.toThrow('Not interested')
      expect(status()).toMatchObject({ queued: 0 })
    }

    const waiting = dialer.services.streamOpener.newStreamOn(connection, ECHO)
    await exchange(first, bytes('hello'))
    expect(await exchange(await waiting, bytes('hello'))).toEqual(bytes('hello'))
  })
})

describe('a muxer that has no more streams to give', () => {
  const MAX = 8
  const streamMuxers = [yamux({ maxOutboundStreams: MAX })]
  const PROTOCOLS = Array.from({ length: 10 }, (_, i) => `/echo/${i}`)

  async function connectLimited (init: StreamOpenerInit = {}): Promise<Connection> {
    dialer = await createOpenerNode(init, { streamMuxers })
    listener = await createStockNode('tcp')
    await Promise.all([...PROTOCOLS, LONG, ECHO].map(async protocol => listener.handle(protocol, echo)))

    return connectIdentified(dialer, listener)
  }

  async function fill (newStream: () => Promise<Stream>): Promise<Stream[]> {
    return Promise.all(Array.from({ length: MAX }, newStream))
  }

  it('makes calls wait as the limits do: 300 at once of 10 protocols all succeed', async () => {
    const connection = await connectLimited()
    let most = 0

    await Promise.all(Array.from({ length: 300 }, async (_, i) => {
      const stream = await dialer.services.streamOpener.newStreamOn(connection, PROTOCOLS[i % 10] ?? '')
      most = Math.max(most, connection.streams.filter(({ direction }) => direction === 'outbound').length)
      expect(await exchange(stream, bytes(`${i}`))).toEqual(bytes(`${i}`))
    }))

    expect(most).toBe(MAX)
    expect(status()).toStrictEqual(NOTHING)
  })

  it('has one more when one is closed, of those of others too', async () => {
    const connection = await connectLimited()
    const streams = await fill(async () => connection.newStream(LONG))
    const opened: number[] = []
    const opening = Array.from({ length: 3 }, async (_, i) => {
      await dialer.services.streamOpener.newStreamOn(connection, ECHO)
      opened.push(i)
    })

    await turn()
    expect(status()).toMatchObject({ queued: 3 })

    for (let i = 0; i < 3; i++) {
      streams[i]?.abort(new Error('Enough'))
      await Promise.race(opening.slice(i))
      await turn()
      expect(opened).toEqual(Array.from({ length: i + 1 }, (_, j) => j))
    }
  })

  it('is what a call says that has waited for it', async () => {
    const connection = await connectLimited({ queueTimeout: 50 })
    await fill(async () => connection.newStream(LONG))

    await expect(dialer.services.streamOpener.newStreamOn(connection, ECHO)).rejects.toThrow(expect.objectContaining({
      name: 'QueueTimeoutError',
      message: 'The connection has as many streams as its muxer allows, and none was closed within 50ms - close those that are not needed any more, or raise maxOutboundStreams of the muxer, if the peer accepts more'
    }))
    expect(status()).toStrictEqual(NOTHING)
  })

  it('refuses at once what is not to wait, and what is intercepted, with the error of stock', async () => {
    const connection = await connectLimited()
    const expected = expect.objectContaining({ name: 'TooManyOutboundProtocolStreamsError', message: 'max outbound streams exceeded' })
    const stock = await connectStock({ streamMuxers })

    await fill(async () => stock.newStream(LONG))
    await expect(stock.newStream(ECHO)).rejects.toThrow(expected)

    await fill(async () => connection.newStream(LONG))
    await expect(dialer.services.streamOpener.newStreamOn(connection, ECHO, { queue: false })).rejects.toThrow(expected)
    await dialer.stop()

    dialer = await createOpenerNode({ intercept: true }, { streamMuxers })
    const intercepted = await connectIdentified(dialer, listener)
    await fill(async () => intercepted.newStream(LONG))
    await expect(intercepted.newStream(ECHO, { signal: AbortSignal.timeout(1_500) })).rejects.toThrow(expected)
  })

  it('takes 1,100 calls by default, as many as libp2p has names for', async () => {
    const connection = await connect({ maxStreamsPerProtocol: Infinity })
    const streams: Stream[] = []
    const calls = Array.from({ length: 1_100 }, async () => {
      streams.push(await dialer.services.streamOpener.newStreamOn(connection, LONG))
    })

    while (streams.length < 1_000) {
      await turn()
    }

    await turn()
    expect(status()).toStrictEqual({ open: 1_000, negotiating: 0, queued: 100 })
    const ended = streams.map(closed)
    streams.splice(0, 100).forEach(stream => { stream.abort(new Error('Enough')) })
    await Promise.all(ended.slice(0, 100))
    await Promise.all(calls)
    expect(status()).toStrictEqual({ open: 1_000, negotiating: 0, queued: 0 })
  })
})
