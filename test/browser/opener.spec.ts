import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { pEvent } from 'p-event'
import { Uint8ArrayList } from 'uint8arraylist'
import { equals } from 'uint8arrays/equals'
import { toString } from 'uint8arrays/to-string'
import { afterEach, describe, expect, it } from 'vitest'
import { commands } from 'vitest/browser'
import { receiveBulk } from '../../src/bulk/transfer/receive-bulk.ts'
import { sendBulk } from '../../src/bulk/transfer/send-bulk.ts'
import { streamOpener } from '../../src/index.ts'
import { bytes, closed, ECHO, exchange, pattern, readAll, replacedMethods } from '../support/streams.ts'
import { NOTES } from './listener-commands.ts'
import type { StreamOpener, StreamOpenerInit } from '../../src/index.ts'
import type { Listener, ListenerKind } from './listener-commands.ts'
import type { Identify } from '@libp2p/identify'
import type { Connection, Libp2p } from '@libp2p/interface'

type Page = Libp2p<{ identify: Identify, streamOpener: StreamOpener }>

/**
 * A protocol of libp2p in which the listener says what it speaks, unasked
 */
const IDENTIFY = '/ipfs/id/1.0.0'

let page: Page
let listener: Listener

afterEach(async () => {
  await page.stop()
  await commands.stopListener(listener.id)
})

/**
 * A node in the page
 */
async function createPage (init: StreamOpenerInit = {}): Promise<Page> {
  return createLibp2p({
    transports: [webSockets()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: {
      // by default a browser dials no private addresses, and WebSockets only with TLS
      denyDialMultiaddr: () => false
    },
    connectionManager: { reconnectRetries: 0 },
    connectionMonitor: { enabled: false },
    services: { identify: identify(), streamOpener: streamOpener(init) }
  })
}

/**
 * Connects the page to a listener, and waits for identify
 */
async function connect (kind: ListenerKind, init: StreamOpenerInit = {}): Promise<Connection> {
  listener = await commands.startListener(kind)
  page = await createPage(init)

  const [connection] = await Promise.all([
    page.dial(multiaddr(listener.addr)),
    pEvent(page as any, 'peer:identify')
  ])

  return connection
}

function text (data: Uint8Array): string {
  return toString(data)
}

describe('a page that dials a stock listener in Node.js over WebSockets', () => {
  it('uses a protocol that identify named without a round trip: the request passes while the listener is held', async () => {
    await connect('stock')
    const opened: string[] = []

    // from here on not one byte of the listener arrives
    await commands.hold(listener.id)

    const stream = await page.services.streamOpener.newStream(multiaddr(listener.addr), NOTES, {
      onProgress: evt => { opened.push(evt.type) }
    })
    stream.send(bytes('request'))
    await commands.noted(listener.id, 'request')

    expect(opened).toContain('stream-opener:optimistic')
    expect(replacedMethods(stream)).not.toHaveLength(0)

    await commands.release(listener.id)

    expect(text(await exchange(stream, bytes('')))).toBe('request')
    expect(replacedMethods(stream)).toEqual([])
  })

  it('sends the handshake by itself where nothing is written', async () => {
    const connection = await connect('stock')
    const stream = await page.services.streamOpener.newStreamOn(connection, IDENTIFY)

    expect(replacedMethods(stream)).not.toHaveLength(0)

    // the listener speaks first, but not before it has read the handshake
    expect(text(await readAll(stream))).toContain(ECHO)
    expect(replacedMethods(stream)).toEqual([])

    await stream.close()
  })

  it('opens a stream straight after the dial, without waiting for identify', async () => {
    listener = await commands.startListener('stock')
    page = await createPage()
    const opened: string[] = []
    const stream = await page.services.streamOpener.newStream(multiaddr(listener.addr), ECHO, {
      onProgress: evt => { opened.push(evt.type) }
    })

    expect(opened).toContain('stream-opener:early')
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('gets 500 streams that were asked for at once, 32 at a time', async () => {
    const connection = await connect('stock')
    const { streamOpener } = page.services
    let most = 0

    const exchanges = Array.from({ length: 500 }, async (_, i) => {
      const stream = await streamOpener.newStreamOn(connection, ECHO)
      most = Math.max(most, streamOpener.status(connection.remotePeer).open)

      expect(await exchange(stream, bytes(`request ${i}`))).toEqual(bytes(`request ${i}`))
    })

    expect(streamOpener.status(connection.remotePeer)).toMatchObject({ queued: 468 })

    await Promise.all(exchanges)

    expect(most).toBe(32)
    expect(streamOpener.status(connection.remotePeer)).toMatchObject({ open: 0, negotiating: 0, queued: 0 })
  })

  it('sends and receives 8 MiB of bulk data at the same time, all of it in order', async () => {
    const connection = await connect('stock')
    const stream = await page.services.streamOpener.newStreamOn(connection, ECHO)
    const data = pattern(8 * 1024 * 1024)
    const received = new Uint8ArrayList()

    const [sent] = await Promise.all([
      sendBulk(stream, [data]),
      (async () => {
        for await (const chunk of receiveBulk(stream)) {
          received.append(chunk)
        }
      })()
    ])

    expect(sent.bytes).toBe(data.byteLength)
    expect(equals(received.subarray(), data)).toBe(true)
  })

  it('finds in the status what is open and what the listener speaks', async () => {
    const connection = await connect('stock')
    const { streamOpener } = page.services
    const stream = await streamOpener.newStreamOn(connection, ECHO)

    expect(streamOpener.status()).toStrictEqual([streamOpener.status(connection.remotePeer)])
    expect(streamOpener.status(connection.remotePeer)).toMatchObject({ open: 1, negotiating: 0, queued: 0 })
    expect(streamOpener.status(connection.remotePeer).protocols).toEqual(expect.arrayContaining([ECHO, NOTES]))

    await exchange(stream, bytes('hello'))
  })

  it('gains with dialProtocol as well where that is intercepted', async () => {
    const connection = await connect('stock', { intercept: true })

    await commands.hold(listener.id)

    const stream = await page.dialProtocol(connection.remotePeer, NOTES)
    stream.send(bytes('request'))
    await commands.noted(listener.id, 'request')
    await commands.release(listener.id)

    expect(text(await exchange(stream, bytes('')))).toBe('request')
  })

  it('is told that the listener does not speak a protocol', async () => {
    const connection = await connect('stock')

    await expect(page.services.streamOpener.newStreamOn(connection, '/unknown/1.0.0')).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
  })

  it('sees the error of a stream that the listener refuses after all', async () => {
    const connection = await connect('stock', { negotiation: 'always' })
    const stream = await page.services.streamOpener.newStreamOn(connection, '/unknown/1.0.0')
    const close = closed(stream)
    stream.send(bytes('request'))

    expect((await close).error).toHaveProperty('name', 'UnsupportedProtocolError')
  })

  it('holds the end of a request back until the protocol is confirmed', async () => {
    const connection = await connect('stock')

    await commands.hold(listener.id)

    const stream = await page.services.streamOpener.newStreamOn(connection, NOTES)
    const answer = exchange(stream, bytes('request'))
    await commands.noted(listener.id, 'request')

    expect(replacedMethods(stream)).toContain('sendCloseWrite')

    await commands.release(listener.id)

    expect(text(await answer)).toBe('request')
  })
})

describe('a page that dials a listener with a guard over WebSockets', () => {
  it('sends request and end in the first flight', async () => {
    const connection = await connect('guarded')

    await commands.hold(listener.id)

    const stream = await page.services.streamOpener.newStreamOn(connection, NOTES)
    const answer = exchange(stream, bytes('request'))
    await commands.noted(listener.id, 'end of request')
    await commands.release(listener.id)

    expect(text(await answer)).toBe('request')
  })

  it('answers what the listener opens to it, whose end comes in the first flight', async () => {
    await connect('guarded')
    await page.handle(NOTES, async stream => {
      // begin to read when the end has come already
      await pEvent(stream as any, 'remoteCloseWrite')
      const request = await readAll(stream)
      stream.send(request)
      await stream.close()
    })

    for (let i = 0; i < 100; i++) {
      expect(await commands.ask(listener.id, `${page.peerId}`, NOTES, `request ${i}`)).toBe(`request ${i}`)
    }
  })
})
