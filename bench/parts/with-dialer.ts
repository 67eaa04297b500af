import { pEvent } from 'p-event'
import { createOpenerNode } from '../../test/support/nodes.ts'
import type { StreamOpenerInit } from '../../src/index.ts'
import type { NodeInit, OpenerServices } from '../../test/support/nodes.ts'
import type { Connection, Libp2p } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

export type Dialer = Libp2p<OpenerServices>

/**
 * Calls the function with a new node that has no connections, and stops the node
 */
export async function withDialer <T> (fn: (dialer: Dialer) => Promise<T>, node: NodeInit = {}, opener: StreamOpenerInit = {}): Promise<T> {
  const dialer = await createOpenerNode(opener, node)

  try {
    return await fn(dialer)
  } finally {
    await dialer.stop()
  }
}

/**
 * Connects the node and waits until it has heard what the peer speaks
 */
export async function dialIdentified (dialer: Dialer, addr: Multiaddr): Promise<Connection> {
  const identified = pEvent(dialer as any, 'peer:identify')
  const connection = await dialer.dial(addr)
  await identified

  return connection
}

/**
 * The same with a connection whose listener is known to speak what it speaks.
 * `dialProtocol` and the stream opener share it, what they do is then the only
 * difference.
 */
export async function withConnection <T> (addr: Multiaddr, fn: (dialer: Dialer, connection: Connection) => Promise<T>, opener: StreamOpenerInit = {}, node: NodeInit = {}): Promise<T> {
  return withDialer(async dialer => fn(dialer, await dialIdentified(dialer, addr)), node, opener)
}
