import { pEvent } from 'p-event'
import { afterEach, describe, expect, it } from 'vitest'
import { identify, identifyPush } from '@libp2p/identify'
import { byteStream } from '@libp2p/utils'
import { createRelay } from './support/relay.ts'
import { encodeHandshake } from '../src/negotiation/multistream-select.ts'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, identified, SOCKET_TRANSPORTS, stopNodes, TRANSPORTS } from './support/nodes.ts'
import { handleRaw } from './support/raw-listener.ts'
import { bytes, closed, ECHO, echo, exchange, readAll, replacedMethods } from './support/streams.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Relay } from './support/relay.ts'
import type { Libp2p } from '@libp2p/interface'

/**
 * An open that was negotiated in full is seen by libp2p's own newStream
 */
function countFull (connection: { newStream: unknown }): () => number {
  let count = 0
  const target = connection as { newStream(...args: unknown[]): unknown }
  const { newStream } = target

  target.newStream = (...args) => {
    count++
    return newStream(...args)
  }

  return () => count
}

const identifyOnDemand = identify({ runOnConnectionOpen: false })

let dialer: Libp2p<OpenerServices>
let listener: Libp2p
let relay: Relay | undefined

afterEach(async () => {
  relay?.release()
  await stopNodes(dialer, listener)
  await relay?.close()
  relay = undefined
})

describe.each(SOCKET_TRANSPORTS)('a protocol that identify named, through a relay over %s', transport => {
  it('is used without a round trip: the request passes while the listener is held', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    const requests: string[] = []
    const received = Promise.withResolvers<void>()

    await listener.handle(ECHO, async stream => {
      const request = await byteStream(stream).read({ bytes: 'request'.length })
      requests.push(new TextDecoder().decode(request.subarray()))
      stream.send(bytes('answer'))
      received.resolve()
      await stream.close()
    })

    relay = await createRelay(addressOf(listener))
    await connectIdentified(dialer, listener, relay.addr)

    // from here on not one byte of the listener arrives
    relay.hold()

    const stream = await dialer.services.streamOpener.newStream(listener.peerId, ECHO)
    stream.send(bytes('request'))
    await received.promise

    expect(stream.protocol).toBe(ECHO)
    expect(requests).toEqual(['request'])

    relay.release()

    expect(new TextDecoder().decode(await readAll(stream))).toBe('answer')
    await stream.close()
  })
})

describe.each(TRANSPORTS)('a known protocol over %s', transport => {
  it('sends the handshake and the first write in one chunk', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    const first = Promise.withResolvers<Uint8Array>()

    await handleRaw(listener, ECHO, (stream, chunk) => {
      first.resolve(chunk)
      stream.abort(new Error('Seen enough'))
    })
    await connectIdentified(dialer, listener)

    const stream = await dialer.services.streamOpener.newStream(listener.peerId, ECHO)
    stream.send(bytes('first write'))

    expect(await first.promise).toEqual(Uint8Array.from([...encodeHandshake(ECHO), ...bytes('first write')]))
  })

  it('leaves the stream as the muxer made it after the exchange', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    await connectIdentified(dialer, listener)

    const stream = await dialer.services.streamOpener.newStream(listener.peerId, ECHO)
    expect(replacedMethods(stream)).not.toHaveLength(0)

    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    expect(replacedMethods(stream)).toHaveLength(0)
  })

  it('is used first come first served in the order of the caller', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(['/b/1.0.0', '/c/1.0.0'], echo)
    const connection = await connectIdentified(dialer, listener)
    const full = countFull(connection)

    for (const [requested, expected] of [
      [['/a/1.0.0', '/b/1.0.0', '/c/1.0.0'], '/b/1.0.0'],
      [['/c/1.0.0', '/b/1.0.0'], '/c/1.0.0'],
      [['/a/1.0.0', '/c/1.0.0'], '/c/1.0.0']
    ] as const) {
      const stream = await dialer.services.streamOpener.newStreamOn(connection, [...requested])
      expect(stream.protocol).toBe(expected)
      expect(await exchange(stream, bytes(expected))).toEqual(bytes(expected))
    }

    expect(full()).toBe(0)
  })

  it('is negotiated in full when nothing is known of the first one, though the second one was confirmed', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    const connection = await connectIdentified(dialer, listener)
    const full = countFull(connection)

    // without identify-push the dialer does not get to know this
    await listener.handle('/late/1.0.0', echo)

    for (let i = 0; i < 3; i++) {
      const stream = await dialer.services.streamOpener.newStreamOn(connection, ['/never/1.0.0', '/late/1.0.0'])
      expect(stream.protocol).toBe('/late/1.0.0')
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    }

    expect(full()).toBe(3)
    await expect(dialer.services.streamOpener.newStreamOn(connection, '/never/1.0.0')).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
  })

  it('is not known from what the peer opened to us', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    const connection = await connectIdentified(dialer, listener)
    const called = Promise.withResolvers<void>()

    await dialer.handle('/client/1.0.0', async stream => {
      // over QUIC a reset would overtake the echo
      await stream.close()
      called.resolve()
    })
    const [inbound] = listener.getConnections(dialer.peerId)
    await inbound?.newStream('/client/1.0.0')
    await called.promise

    const { protocols } = await dialer.peerStore.get(listener.peerId)
    expect(protocols).toContain('/client/1.0.0')

    // an optimistic open would not reject
    await expect(dialer.services.streamOpener.newStreamOn(connection, '/client/1.0.0')).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
  })

  it('is no longer known after a push that does not list it, and known after one that does', async () => {
    dialer = await createOpenerNode({}, { services: { identifyPush: identifyPush() } })
    listener = await createStockNode(transport, { services: { identifyPush: identifyPush({ debounce: 1 } as any) } })
    await listener.handle(ECHO, echo)
    const connection = await connectIdentified(dialer, listener)
    const full = countFull(connection)

    let pushed = identified(dialer, listener)
    await listener.unhandle(ECHO)
    await pushed

    await expect(dialer.services.streamOpener.newStreamOn(connection, ECHO)).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
    expect(full()).toBe(1)

    pushed = identified(dialer, listener)
    await listener.handle(ECHO, echo)
    await pushed

    const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO)
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    expect(full()).toBe(1)
  })

  it('is no longer known after it was refused, on any connection and in the peer store', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    const connection = await connectIdentified(dialer, listener)
    const other = await dialer.dial(addressOf(listener), { force: true })
    await identified(dialer, listener)
    expect(other.id).not.toBe(connection.id)

    // there is no identify-push to tell the dialer
    await listener.unhandle(ECHO)

    const updated = pEvent(dialer as any, 'peer:update')
    const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO)
    stream.send(bytes('hello'))
    const { error } = await closed(stream)
    expect(error).toHaveProperty('name', 'UnsupportedProtocolError')

    await updated
    const { protocols } = await dialer.peerStore.get(listener.peerId)
    expect(protocols).not.toContain(ECHO)

    for (const next of [connection, other]) {
      await expect(dialer.services.streamOpener.newStreamOn(next, ECHO)).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
    }
  })

  it('is not known from an earlier connection', async () => {
    dialer = await createOpenerNode({}, { services: { identify: identifyOnDemand } })
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    const connection = await dialer.dial(addressOf(listener))
    await dialer.services.identify.identify(connection)
    const known = countFull(connection)
    expect(await exchange(await dialer.services.streamOpener.newStream(listener.peerId, ECHO), bytes('1'))).toEqual(bytes('1'))
    expect(known()).toBe(0)

    await dialer.hangUp(listener.peerId)
    await listener.unhandle(ECHO)
    const next = await dialer.dial(addressOf(listener))

    // an optimistic open would not reject
    await expect(dialer.services.streamOpener.newStreamOn(next, ECHO)).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
  })
})
