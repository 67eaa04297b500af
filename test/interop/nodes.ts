import { noise } from '@libp2p/noise'
import { tls } from '@libp2p/tls'
import { pEvent } from 'p-event'
import { tls as socketTls } from '../../src/tls/index.ts'
import { createOpenerNode } from '../support/nodes.ts'
import type { PeerEncrypter } from '../support/peers.ts'
import type { StreamOpenerInit } from '../../src/index.ts'
import type { NodeInit, OpenerServices } from '../support/nodes.ts'
import type { Connection, Libp2p } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const ENCRYPTERS = { noise: noise(), tls: tls(), 'socket tls': socketTls() }

/**
 * The peers speak all of them, so it is the js node that chooses
 */
export function encryptedWith (encrypter?: PeerEncrypter): NodeInit {
  return { connectionEncrypters: [ENCRYPTERS[encrypter ?? 'noise']] }
}

export async function createDialer (encrypter?: PeerEncrypter, init: StreamOpenerInit = {}): Promise<Libp2p<OpenerServices>> {
  return createOpenerNode(init, encryptedWith(encrypter))
}

/**
 * Connects to a peer and waits until it is known what it speaks
 */
export async function connect (dialer: Libp2p, addr: Multiaddr): Promise<Connection> {
  const [connection] = await Promise.all([
    dialer.dial(addr),
    pEvent(dialer as any, 'peer:identify')
  ])

  return connection
}
