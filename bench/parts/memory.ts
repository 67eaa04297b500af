import { setTimeout as delay } from 'node:timers/promises'
import { streamOpener } from '../../src/index.ts'
import { collectGarbage } from '../../test/support/gc.ts'
import type { StreamOpener, StreamOpenerComponents } from '../../src/index.ts'
import type { Connection, IdentifyResult, Libp2p, Startable } from '@libp2p/interface'

/**
 * The heap without any garbage, in bytes
 */
export async function settledHeap (): Promise<number> {
  // what was freed may only now let go of other things
  for (let i = 0; i < 3; i++) {
    collectGarbage()
    await delay(20)
  }

  return process.memoryUsage().heapUsed
}

/**
 * What a stream opener holds of the heap for each of the peers, in bytes.
 *
 * What libp2p itself holds for a peer is some 30 KiB, and differs by 5 KiB from one
 * node to the next, which is more than all that is looked for. So this is a second
 * opener at a node that is connected to all of them: it gets the events that the
 * node had, with the connections and the protocols that it has got from them, and
 * nothing else happens meanwhile. Of what identify named it gets copies: of the
 * node's own messages only its opener still has the strings.
 */
export async function heldPerPeer (node: Libp2p<any>, peers: IdentifyResult[], use: (opener: StreamOpener, connection: Connection) => Promise<void> = async () => {}): Promise<number> {
  const events = new EventTarget()
  const { components } = node as unknown as { components: StreamOpenerComponents }
  const before = await settledHeap()

  const opener = streamOpener()({
    ...pick(components),
    events: events as any,
    // the node has told its peers of a guard already
    registrar: { handle: async () => {}, unhandle: async () => {}, getProtocols: () => [], getMiddleware: () => [] } as any
  }) as StreamOpener & Startable

  await opener.start()

  for (const { connection, ...result } of peers) {
    const protocols = result.protocols.map(protocol => Buffer.from(protocol).toString())

    events.dispatchEvent(new CustomEvent('connection:open', { detail: connection }))
    events.dispatchEvent(new CustomEvent('peer:identify', { detail: { ...result, connection, protocols } }))
  }

  for (const { connection } of peers) {
    await use(opener, connection)
  }

  const after = await settledHeap()
  await opener.stop()

  return (after - before) / peers.length
}

/**
 * Libp2p's components are a proxy that can not be spread
 */
function pick (components: StreamOpenerComponents): StreamOpenerComponents {
  const { connectionManager, registrar, peerStore, events, logger, peerId, transportManager, upgrader, connectionGater, peerRouting } = components

  return { connectionManager, registrar, peerStore, events, logger, peerId, transportManager, upgrader, connectionGater, peerRouting }
}
