import { identify } from '@libp2p/identify'
import { MemoryDatastore } from 'datastore-core'
import { pEvent } from 'p-event'
import { afterEach, describe, expect, it } from 'vitest'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, stopNodes, TRANSPORTS } from './support/nodes.ts'
import { bytes, closed, ECHO, echo, exchange, replacedMethods } from './support/streams.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Connection, Libp2p, Startable } from '@libp2p/interface'

let dialer: Libp2p<OpenerServices>
let listener: Libp2p

afterEach(async () => {
  await stopNodes(dialer, listener)
})

/**
 * Resolves when the peer store has what identify said
 */
async function remembered (): Promise<void> {
  const peer = await dialer.peerStore.get(listener.peerId)

  if (!peer.metadata.has('StreamOpenerProtocols')) {
    await pEvent(dialer as any, 'peer:update', {
      filter: (evt: any) => evt.detail.peer.metadata.has('StreamOpenerProtocols')
    })
  }
}

async function reconnect (): Promise<Connection> {
  await dialer.hangUp(listener.peerId)
  // from here on nothing is heard of identify
  dialer.services.identify.identify = async () => new Promise(() => {})

  return dialer.dial(addressOf(listener))
}

describe.each(TRANSPORTS)('resume over %s', transport => {
  it('trusts the last identify message of an earlier connection', async () => {
    dialer = await createOpenerNode({ resume: true })
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    await connectIdentified(dialer, listener)
    await remembered()
    const connection = await reconnect()

    for (const protocols of [ECHO, ['/missing/1.0.0', ECHO]]) {
      const stream = await dialer.services.streamOpener.newStreamOn(connection, protocols)
      expect(replacedMethods(stream)).toContain('send')
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    }
  })

  it('does not trust it after the peer has refused, on this connection or a later one', async () => {
    dialer = await createOpenerNode({ resume: true })
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    await connectIdentified(dialer, listener)
    await remembered()
    let connection = await reconnect()
    await listener.unhandle(ECHO)

    const forgotten = pEvent(dialer as any, 'peer:update', { filter: (evt: any) => !evt.detail.peer.protocols.includes(ECHO) })
    const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO)
    stream.send(bytes('hello'))
    const { error } = await closed(stream)
    expect(error).toHaveProperty('name', 'UnsupportedProtocolError')
    await forgotten

    for (let i = 0; i < 2; i++) {
      await expect(dialer.services.streamOpener.newStreamOn(connection, ECHO)).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
      connection = await reconnect()
    }
  })

  it('does not trust what the peer merely opened to us', async () => {
    dialer = await createOpenerNode({ resume: true })
    listener = await createStockNode(transport)
    await connectIdentified(dialer, listener)
    await remembered()
    const called = Promise.withResolvers<void>()
    await dialer.handle('/client/1.0.0', async stream => {
      // over QUIC a reset would overtake the echo
      await stream.close()
      called.resolve()
    })
    await listener.getConnections(dialer.peerId)[0]?.newStream('/client/1.0.0')
    await called.promise
    expect((await dialer.peerStore.get(listener.peerId)).protocols).toContain('/client/1.0.0')

    const connection = await reconnect()
    await expect(dialer.services.streamOpener.newStreamOn(connection, '/client/1.0.0')).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
  })

  it('can be asked for by a call, from when on identify is remembered', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    const first = await connectIdentified(dialer, listener)
    expect((await dialer.peerStore.get(listener.peerId)).metadata.has('StreamOpenerProtocols')).toBe(false)

    // nothing to resume here, but it has been asked for
    const stream = await dialer.services.streamOpener.newStreamOn(first, '/missing/1.0.0', { resume: true }).catch(() => {})
    expect(stream).toBeUndefined()
    await remembered()

    const connection = await reconnect()
    const resumed = await dialer.services.streamOpener.newStreamOn(connection, ECHO, { resume: true })
    expect(replacedMethods(resumed)).toContain('send')
    expect(await exchange(resumed, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('works across a restart of the node', async () => {
    const datastore = new MemoryDatastore()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)

    dialer = await createOpenerNode({ resume: true }, { datastore })
    await connectIdentified(dialer, listener)
    await remembered()
    await dialer.stop()

    dialer = await createOpenerNode({ resume: true }, { datastore, services: { identify: identify({ runOnConnectionOpen: false }) } })
    const stream = await dialer.services.streamOpener.newStream(addressOf(listener), ECHO)
    expect(replacedMethods(stream)).toContain('send')
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('opens nothing if the service is stopped while the peer store is read', async () => {
    dialer = await createOpenerNode({ resume: true })
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    await connectIdentified(dialer, listener)
    await remembered()
    const connection = await reconnect()
    const opening = dialer.services.streamOpener.newStreamOn(connection, ECHO)

    await Promise.all([
      (dialer.services.streamOpener as unknown as Startable).stop(),
      expect(opening).rejects.toThrow(expect.objectContaining({ name: 'NotStartedError' }))
    ])
    expect(connection.streams.filter(({ protocol }) => protocol === ECHO)).toEqual([])
  })
})
