import { quic } from '@chainsafe/libp2p-quic'
import { identify } from '@libp2p/identify'
import { mplex } from '@libp2p/mplex'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { streamOpener } from 'libp2p-stream-opener'
import { tls as socketTls } from 'libp2p-stream-opener/tls'
import { pEvent } from 'p-event'
import type { Identify } from '@libp2p/identify'
import type { Libp2p } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Libp2pOptions } from 'libp2p'
import type { StreamOpener, StreamOpenerInit } from 'libp2p-stream-opener'

type Stack = Pick<Libp2pOptions, 'addresses' | 'transports' | 'connectionEncrypters' | 'streamMuxers'>

const TCP = { listen: ['/ip4/127.0.0.1/tcp/0'] }
const QUIC = { listen: ['/ip4/127.0.0.1/udp/0/quic-v1'] }

/**
 * What connections are made of. By default an mplex listener closes a connection on
 * which more than 5 streams are opened within a second.
 */
export const STACKS: Record<string, Stack> = {
  'tcp, noise and yamux': { addresses: TCP, transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()] },
  'tcp, tls and yamux': { addresses: TCP, transports: [tcp()], connectionEncrypters: [tls()], streamMuxers: [yamux()] },
  'tcp, tls on the socket and yamux': { addresses: TCP, transports: [tcp()], connectionEncrypters: [socketTls()], streamMuxers: [yamux()] },
  'tcp, noise and mplex': { addresses: TCP, transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [mplex({ disconnectThreshold: 1_000_000 })] },
  quic: { addresses: QUIC, transports: [quic()] }
}

export type OpenerNode = Libp2p<{ identify: Identify, streamOpener: StreamOpener }>

/**
 * A node that knows nothing of this package
 */
export async function createStockNode (stack: Stack): Promise<Libp2p> {
  return createLibp2p({
    ...stack,
    connectionManager: { reconnectRetries: 0, inboundConnectionThreshold: Infinity },
    connectionMonitor: { enabled: false },
    services: { identify: identify() }
  })
}

export async function createOpenerNode (stack: Stack, init: StreamOpenerInit = {}): Promise<OpenerNode> {
  return createLibp2p({
    ...stack,
    connectionManager: { reconnectRetries: 0, inboundConnectionThreshold: Infinity },
    connectionMonitor: { enabled: false },
    services: { identify: identify(), streamOpener: streamOpener(init) }
  })
}

export function addressOf (node: Libp2p): Multiaddr {
  const [addr] = node.getMultiaddrs()

  if (addr == null) {
    throw new Error('The node does not listen')
  }

  return addr
}

/**
 * Resolves when the node has got an identify or identify-push message
 */
export async function identified (node: Libp2p): Promise<void> {
  await pEvent(node as any, 'peer:identify')
}
