import { byteStream } from '@libp2p/utils'
import { pEvent } from 'p-event'
import { toString } from 'uint8arrays/to-string'
import { afterEach, describe, expect, it } from 'vitest'
import { createRelay } from '../support/relay.ts'
import { bytes, closed, ECHO, echo, exchange, readAll, replacedMethods } from '../support/streams.ts'
import { addressOf, createOpenerNode, createStockNode, identified, STACKS } from './nodes.ts'
import { turn } from '../support/wait.ts'
import type { Relay } from '../support/relay.ts'
import type { OpenerNode } from './nodes.ts'
import type { Connection, Libp2p } from '@libp2p/interface'
import type { StreamOpenerInit } from 'libp2p-stream-opener'

let dialer: OpenerNode
let listener: Libp2p
let relay: Relay

afterEach(async () => {
  relay.release()
  await Promise.all([dialer.stop(), listener.stop()])
  await relay.close()
})

/**
 * What handlers of the listener have read
 */
let request: PromiseWithResolvers<string>

/**
 * Answers the first bytes
 */
const REQUEST = '/request/1.0.0'

/**
 * Answers at the end of the request
 */
const END = '/end/1.0.0'

async function handleAll (node: Libp2p): Promise<void> {
  const { resolve } = request = Promise.withResolvers()

  await node.handle(ECHO, echo)
  await node.handle(REQUEST, async stream => {
    const data = await byteStream(stream).read({ bytes: 'request'.length })
    resolve(toString(data.subarray()))
    stream.send(data)
    await stream.close()
  })
  await node.handle(END, async stream => {
    // what came with the handshake has been handled by then
    await turn()
    const data = await readAll(stream)
    resolve(toString(data))
    stream.send(data)
    await stream.close()
  })
}

/**
 * Notes how streams are opened. One that needs the listener gets it, so that what is
 * wrong is seen at once.
 */
function noteOpens (opened: string[]): { onProgress(evt: { type: string }): void } {
  return {
    onProgress: ({ type }) => {
      opened.push(type)

      if (type === 'stream-opener:full') {
        relay.release()
      }
    }
  }
}

describe.each(Object.entries(STACKS))('over %s', (_, stack) => {
  async function start (init: StreamOpenerInit = {}, createListener: typeof createStockNode = createStockNode): Promise<void> {
    dialer = await createOpenerNode(stack, init)
    listener = await createListener(stack)
    await handleAll(listener)
    relay = await createRelay(addressOf(listener))
  }

  async function connect (init?: StreamOpenerInit, createListener?: typeof createStockNode): Promise<Connection> {
    await start(init, createListener)

    const [connection] = await Promise.all([dialer.dial(relay.addr), identified(dialer), identified(listener)])

    return connection
  }

  it('opens a stream that identify named the protocol of without a round trip', async () => {
    const connection = await connect()
    const opened: string[] = []

    // from here on not one byte of the listener arrives
    relay.hold()

    const stream = await dialer.services.streamOpener.newStream(connection.remotePeer, REQUEST, noteOpens(opened))
    stream.send(bytes('request'))

    expect(await request.promise).toBe('request')
    expect(opened).toContain('stream-opener:optimistic')

    relay.release()

    expect(toString(await exchange(stream, bytes('')))).toBe('request')
    expect(replacedMethods(stream)).toEqual([])
  })

  it('intercepts what others open, without a round trip', async () => {
    const connection = await connect({ intercept: true })
    const opened: string[] = []

    relay.hold()

    const stream = await dialer.dialProtocol(connection.remotePeer, REQUEST, noteOpens(opened))
    stream.send(bytes('request'))

    expect(await request.promise).toBe('request')
    expect(opened).toContain('stream-opener:optimistic')

    relay.release()

    expect(toString(await exchange(stream, bytes('')))).toBe('request')
  })

  it('opens a stream straight after the dial', async () => {
    await start()
    const opened: string[] = []
    const stream = await dialer.services.streamOpener.newStream(relay.addr, ECHO, noteOpens(opened))

    expect(opened).toContain('stream-opener:early')
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('dials with the first message of the encrypter next to the handshake', async () => {
    await start({ negotiation: 'always', resume: true })

    async function dialHeld (): Promise<Connection> {
      const before = relay.bytesUp
      relay.hold()
      const dialing = dialer.dial(relay.addr)

      // the handshake alone has 28 or 32 bytes, QUIC has no such thing
      await expect.poll(() => relay.bytesUp - before, { timeout: 5_000 }).toBeGreaterThan(60)
      relay.release()

      return dialing
    }

    for (let i = 0; i < 3; i++) {
      const connection = await dialHeld()
      const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO)

      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
      await dialer.hangUp(connection.remotePeer)
    }
  })

  it('gets 200 streams that were asked for at once', async () => {
    const connection = await connect()
    const { streamOpener } = dialer.services

    await Promise.all(Array.from({ length: 200 }, async (_, i) => {
      const stream = await streamOpener.newStreamOn(connection, ECHO)

      expect(await exchange(stream, bytes(`request ${i}`))).toEqual(bytes(`request ${i}`))
    }))

    expect(streamOpener.status(connection.remotePeer)).toMatchObject({ open: 0, negotiating: 0, queued: 0 })
  })

  it('sends request and end in the first flight to a listener with a guard, which sees both', async () => {
    const connection = await connect({}, createOpenerNode)
    const opened: string[] = []

    relay.hold()

    const stream = await dialer.services.streamOpener.newStreamOn(connection, END, noteOpens(opened))
    const answer = exchange(stream, bytes('request'))

    expect(await request.promise).toBe('request')
    expect(opened).toContain('stream-opener:optimistic')

    relay.release()

    expect(toString(await answer)).toBe('request')
  })

  it('is told that the listener does not speak a protocol', async () => {
    const connection = await connect({ negotiation: 'always' })
    const { streamOpener } = dialer.services
    const stream = await streamOpener.newStreamOn(connection, '/unknown/1.0.0')
    const close = closed(stream)
    stream.send(bytes('request'))

    expect((await close).error).toHaveProperty('name', 'UnsupportedProtocolError')
    await expect(streamOpener.newStreamOn(connection, '/unknown/1.0.0')).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
  })

  it('ends what is open and what waits when the node stops', async () => {
    const connection = await connect({ maxStreamsPerProtocol: 1 })
    const { streamOpener } = dialer.services
    const stream = await streamOpener.newStreamOn(connection, ECHO)
    const waiting = streamOpener.newStreamOn(connection, ECHO)

    expect(streamOpener.status(connection.remotePeer)).toMatchObject({ open: 1, queued: 1 })

    await Promise.all([
      pEvent(stream as any, 'close'),
      expect(waiting).rejects.toThrow(),
      dialer.stop()
    ])

    expect(streamOpener.status()).toEqual([])
  })
})
