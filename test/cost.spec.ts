import { afterEach, describe, expect, it, vi } from 'vitest'
import { encodeHandshake } from '../src/negotiation/multistream-select.ts'
import { connectIdentified, createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { bytes, ECHO, echo, exchange } from './support/streams.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Libp2p, MessageStream, StreamMuxer } from '@libp2p/interface'

/**
 * What decides how fast an open is, and can be counted
 */
describe('an optimistic open, its exchange and its close over yamux', () => {
  let dialer: Libp2p<OpenerServices>
  let listener: Libp2p

  afterEach(async () => {
    vi.restoreAllMocks()
    await stopNodes(dialer, listener)
  })

  it('sends the frames of an open without a handshake, and the bytes of the handshake', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode('tcp')
    await listener.handle(ECHO, echo)
    const connection = await connectIdentified(dialer, listener)
    const { maConn } = (connection as unknown as { muxer: StreamMuxer & { maConn: MessageStream } }).muxer
    const send = maConn.send.bind(maConn)
    const frames: number[] = []

    maConn.send = data => {
      frames.push(data.byteLength)
      return send(data)
    }

    for (let i = 0; i < 3; i++) {
      frames.length = 0
      const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO)
      expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))

      // a window update opens the stream, the data, window updates for the two
      // messages of the echo and for the answer, the FIN
      const header = 12
      expect(frames.toSorted((a, b) => b - a)).toEqual([
        header + encodeHandshake(ECHO).byteLength + 5, header, header, header, header, header
      ])
    }
  })

  it('takes no timer of its own, no signal, no error, and nothing from the peer store', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode('tcp')
    await listener.handle(ECHO, echo)
    const connection = await connectIdentified(dialer, listener)
    const setTimeouts = vi.spyOn(globalThis, 'setTimeout')
    const merges = vi.spyOn(dialer.peerStore, 'merge')
    const signals = vi.spyOn(AbortSignal, 'timeout')
    const stacks = vi.spyOn(Error, 'captureStackTrace')

    for (let i = 0; i < 10; i++) {
      const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO)
      stream.send(bytes('hello'))
      await new Promise(resolve => { stream.addEventListener('message', resolve) })
      await stream.close()
    }

    // one does for all of them, it may have been there already
    expect(setTimeouts.mock.calls.filter(([, ms]) => ms === 10_000).length).toBeLessThanOrEqual(1)
    expect(merges.mock.calls.filter(([peer]) => peer.equals(listener.peerId))).toHaveLength(0)
    // the listener's, in the same process
    expect(signals.mock.calls).toHaveLength(10)
    expect(stacks.mock.calls).toHaveLength(0)
  })
})
