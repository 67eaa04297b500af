/**
 * What is left of connections that were given up, or lost, while they were made
 */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Echo } from '../../src/negotiation/echo.ts'
import { HeldWrites } from '../../src/negotiation/held-writes.ts'
import { OptimisticNegotiation } from '../../src/negotiation/optimistic-negotiation.ts'
import { Selection } from '../../src/negotiation/selection.ts'
import { SpokenProtocols } from '../../src/negotiation/spoken-protocols.ts'
import { countObjects } from '../support/count-objects.ts'
import { followProtocols } from '../support/follow-protocols.ts'
import { forkListener } from '../support/fork-listener.ts'
import { connectIdentified, createOpenerNode, createStockNode, stopNodes, TRANSPORTS } from '../support/nodes.ts'
import { rounds } from '../support/rounds.ts'
import { closed, ECHO, echo } from '../support/streams.ts'
import { DIAL_TRANSPORTS, untilRemembered } from '../support/upgrades.ts'
import type { StreamOpenerComponents } from '../../src/index.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { Connection, ConnectionEncrypter, Libp2p, StreamMuxer } from '@libp2p/interface'

const CONNECTS = rounds(1_000, 50)

let dialer: Libp2p<OpenerServices> | undefined
let listener: Libp2p | undefined

afterEach(async () => {
  await stopNodes(dialer, listener)
  dialer = listener = undefined
})

describe.each(DIAL_TRANSPORTS)('over %s, to a listener in another process', transport => {
  it(`${CONNECTS} reconnects that do not wait for the encrypter, and as many dials that are given up, leave nothing behind`, async () => {
    const forked = await forkListener(transport)
    const node = dialer = await createOpenerNode({ resume: true })
    const { upgrader } = (node as unknown as { components: StreamOpenerComponents }).components
    const counts: number[] = []
    const first = await node.dial(forked.addr)
    await untilRemembered(node, first.remotePeer, '/noise')
    await node.hangUp(first.remotePeer)

    // one that is there is found
    const found = vi.spyOn([...upgrader.getConnectionEncrypters().values()][0] as ConnectionEncrypter, 'secureOutbound').mockImplementationOnce(async () => {
      counts.push(countObjects(OptimisticNegotiation))

      throw new Error('Enough')
    })
    await expect(node.dial(forked.addr)).rejects.toThrow('Enough')
    expect(counts).toEqual([1])
    found.mockRestore()

    for (let i = 0; i < CONNECTS; i++) {
      const connection = await node.dial(forked.addr)
      await node.hangUp(connection.remotePeer)

      const controller = new AbortController()
      const dialing = node.dial(forked.addr, { signal: controller.signal }).catch(() => {})
      setTimeout(() => { controller.abort() }, i % 8)
      await dialing
      await node.hangUp(connection.remotePeer)
    }

    // WebSockets of dials that were given up go when the listener has had enough
    await vi.waitFor(() => {
      expect(process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap')).toEqual([])
    }, { timeout: 30_000 })
    // each look is one at the whole heap
    await vi.waitFor(() => {
      expect(countObjects(OptimisticNegotiation, HeldWrites, Echo, Selection)).toBe(0)
    }, { timeout: 10_000, interval: 1_000 })
    expect(node.getConnections()).toEqual([])
    await forked.stop()
  })
})

describe.each(TRANSPORTS)('over %s', transport => {
  it('a connection that is lost while a stream is created, however soon, leaves nothing behind', async () => {
    const node = dialer = await createOpenerNode()
    const peer = listener = await createStockNode(transport)
    await peer.handle(ECHO, echo)

    for (let microtasks = 0; microtasks < 20; microtasks++) {
      const connection = await connectIdentified(node, peer)
      const opening = node.services.streamOpener.newStreamOn(connection, ECHO, { negotiationTimeout: 200 }).then(() => 'opened', (err: Error) => err.name)

      // yamux of stock ends the process otherwise, see test/interop/upstream
      await Promise.resolve()
      await Promise.resolve()

      for (let i = 0; i < microtasks; i++) {
        await Promise.resolve()
      }

      connection.abort(new Error('Gone'))
      expect(await opening).toBeOneOf(['opened', 'ConnectionClosedError', 'Error'])
    }

    // each look is one at the whole heap
    await vi.waitFor(() => {
      expect(countObjects(OptimisticNegotiation)).toBe(0)
    }, { timeout: 10_000, interval: 1_000 })
  })
})

describe.each(TRANSPORTS)('a connection over %s that the peer closes while it is upgraded', transport => {
  it('is announced after its end, and nothing is held for it', async () => {
    const opened: Connection[] = []
    // a connection gater that takes longer to decide than the connection lasts
    const denyOutboundUpgradedConnection = async (_: unknown, maConn: any): Promise<boolean> => {
      if (maConn.status === 'open') {
        await closed(maConn)
      }

      return false
    }
    const peer = listener = await createStockNode(transport, { connectionGater: { denyInboundUpgradedConnection: async () => true } })
    const node = dialer = await createOpenerNode({ intercept: true }, { connectionGater: { denyOutboundUpgradedConnection } })
    node.addEventListener('connection:open', evt => { opened.push(evt.detail) })
    const known = followProtocols(node)

    for (let i = 0; i < 3; i++) {
      await expect(node.services.streamOpener.newStream(peer.getMultiaddrs(), ECHO)).rejects.toThrow()
    }

    for (const connection of opened) {
      expect(connection.status).not.toBe('open')
      // libp2p's own
      expect((connection as Connection & { muxer: StreamMuxer & { listenerCount(type: string): number } }).muxer.listenerCount('stream')).toBe(1)
    }

    expect(opened).toHaveLength(3)
    expect(known.size).toBe(0)
    expect(countObjects(SpokenProtocols)).toBe(0)
  })
})
