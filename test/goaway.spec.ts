import { pEvent } from 'p-event'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { rounds } from './support/rounds.ts'
import { bytes, ECHO, echo, exchange } from './support/streams.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Connection, Libp2p, PeerId, Stream, StreamMuxer } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

type WithMuxer = Connection & { muxer: StreamMuxer & { sendGoAway(reason: number): void } }

let dialer: Libp2p<OpenerServices>
let listener: Libp2p

afterEach(async () => {
  await stopNodes(dialer, listener)
})

/**
 * The end of a connection that is no end: its TCP connection stays open
 */
async function goAway (connection: Connection): Promise<void> {
  const [back] = listener.getConnections(dialer.peerId) as [WithMuxer]
  back.muxer.sendGoAway(0)

  await vi.waitFor(() => {
    expect((connection as WithMuxer).muxer.status).toBe('closed')
  })
}

async function connect (): Promise<Connection> {
  dialer = await createOpenerNode()
  listener = await createStockNode('tcp')
  await listener.handle(ECHO, echo)

  return connectIdentified(dialer, listener)
}

type Open = () => Promise<Stream>

/**
 * What opens streams to the peer - a session is there before its connection is of no use
 */
const WAYS: Array<[string, (peer: PeerId | Multiaddr) => Promise<Open>]> = [
  ['newStream', async peer => async () => dialer.services.streamOpener.newStream(peer, ECHO)],
  ['openBulkStream', async peer => async () => (await dialer.services.streamOpener.openBulkStream(peer, ECHO)).stream],
  ['openStream of a session', async peer => {
    const session = await dialer.services.streamOpener.openBulkSession(peer, ECHO)

    return async () => (await session.openStream()).stream
  }]
]

describe('a peer that closes the muxer and leaves the connection open', () => {
  it.each(WAYS.flatMap(([name, opening]) => [
    [name, 'its id', opening, () => listener.peerId] as const,
    [name, 'its address', opening, () => addressOf(listener)] as const
  ]))('is dialled once for many calls of %s with %s, and the connection that is of no use is closed', async (_name, _peer, opening, peer) => {
    const connection = await connect()
    const open = await opening(peer())
    await goAway(connection)
    expect(connection.status).toBe('open')
    await expect(dialer.dialProtocol(listener.peerId, ECHO)).rejects.toThrow(expect.objectContaining({ name: 'ConnectionClosedError' }))

    const opened = vi.fn()
    dialer.addEventListener('connection:open', opened)

    for (let i = 0; i < 60; i++) {
      expect(await exchange(await open(), bytes('hello'))).toEqual(bytes('hello'))
    }

    expect(opened.mock.calls).toHaveLength(1)

    if (connection.status === 'open' || connection.status === 'closing') {
      await pEvent(connection as any, 'close')
    }

    expect(dialer.getConnections(listener.peerId)).toHaveLength(1)
    // so stock's own call finds one that is of use
    expect(await exchange(await dialer.dialProtocol(listener.peerId, ECHO), bytes('hello'))).toEqual(bytes('hello'))
  })

  it.each(WAYS)('is dialled once for many calls of %s at once', async (_, opening) => {
    const connection = await connect()
    const open = await opening(listener.peerId)
    await goAway(connection)
    const opened = vi.fn()
    dialer.addEventListener('connection:open', opened)

    await Promise.all(Array.from({ length: 60 }, async () => {
      expect(await exchange(await open(), bytes('hello'))).toEqual(bytes('hello'))
    }))

    expect(opened.mock.calls).toHaveLength(1)
  })

  it.each(WAYS)('does not make connections pile up where it does so on each, for %s', async (_, opening) => {
    await connect()
    const open = await opening(listener.peerId)
    let most = 0

    for (let i = 0; i < rounds(60, 4); i++) {
      for (const connection of dialer.getConnections(listener.peerId).filter(({ status }) => status === 'open')) {
        await goAway(connection)
      }

      expect(await exchange(await open(), bytes('hello'))).toEqual(bytes('hello'))
      most = Math.max(most, dialer.getConnections(listener.peerId).length)
    }

    expect(most).toBeLessThanOrEqual(2)
  })
})
