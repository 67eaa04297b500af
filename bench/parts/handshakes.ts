/**
 * A connection that is dialled and closed again
 */
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { tls as socketTls } from '../../src/tls/index.ts'
import { readJson } from './bulk/ways.ts'
import type { Libp2p } from '@libp2p/interface'

/**
 * Answers with the CPU time of the process so far, in us
 */
export const CPU = '/bench/cpu/1.0.0'

export const ENCRYPTERS = ['noise', '@libp2p/tls', 'TLS on the socket'] as const

export type EncrypterName = typeof ENCRYPTERS[number]

const FACTORIES = { noise: noise(), '@libp2p/tls': tls(), 'TLS on the socket': socketTls() }

export async function createHandshakeNode (encrypter: EncrypterName, listen: string[] = []): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [FACTORIES[encrypter]],
    streamMuxers: [yamux()],
    connectionManager: { inboundConnectionThreshold: Infinity, maxIncomingPendingConnections: Infinity },
    connectionMonitor: { enabled: false }
  })
}

/**
 * For each connection, in us
 */
export interface Handshakes {
  time: number

  /**
   * CPU time of both ends
   */
  dialer: number
  listener: number
}

async function askCpu (node: Libp2p, addr: string): Promise<number> {
  const connection = await node.dial(multiaddr(addr))
  const stream = await connection.newStream(CPU)
  const [cpu] = await Promise.all([readJson(stream), stream.close()])

  await connection.close()

  return cpu as number
}

/**
 * So many connections, each node has one at a time: a node that dials a peer twice at
 * once gets the same connection twice
 */
export async function shakeHands (nodes: Libp2p[], addr: string, size: number): Promise<Handshakes> {
  const [control] = nodes as [Libp2p]
  const listenerBefore = await askCpu(control, addr)
  const before = process.cpuUsage()
  const start = performance.now()
  let left = size

  await Promise.all(nodes.map(async node => {
    while (left-- > 0) {
      const connection = await node.dial(multiaddr(addr))

      await connection.close()
    }
  }))

  const elapsed = performance.now() - start
  const { user, system } = process.cpuUsage(before)
  const listener = await askCpu(control, addr) - listenerBefore

  return { time: elapsed * 1000 / size, dialer: (user + system) / size, listener: listener / size }
}
