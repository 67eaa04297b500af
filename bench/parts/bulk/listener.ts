/**
 * What bulk data is sent to: a node that knows nothing of this package but for one
 * protocol handler, one that uses it, and sockets without libp2p
 */
import { FaultTolerance } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tls } from '@libp2p/tls'
import { multiaddr } from '@multiformats/multiaddr'
import { receiveBulk, streamOpener, transportOf } from '../../../src/index.ts'
import { tls as socketTls } from '../../../src/tls/index.ts'
import { createStockNode } from '../../../test/support/nodes.ts'
import { NODES, PATHS } from './paths.ts'
import { listenOnSockets } from './sockets.ts'
import type { NodeName, Path, PathName, SocketName } from './paths.ts'
import type { NodeInit } from '../../../test/support/nodes.ts'
import type { Libp2p, Stream, StreamHandler } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Both read all that comes and answer with how many bytes it was: one as every
 * handler does, one with `receiveBulk`
 */
export const STOCK_READER = '/bench/bulk/stock/1.0.0'
export const BULK_READER = '/bench/bulk/receive/1.0.0'

/**
 * Answers with a `Status`
 */
export const STATUS = '/bench/bulk/status/1.0.0'

/**
 * Where the listener is
 */
export interface Endpoints {
  /**
   * What it listens on, on all interfaces that it was told
   */
  ports: Record<Family, Ports>
  peers: Record<NodeName, string>
}

export interface Status extends Endpoints {
  /**
   * CPU time of the process so far, in us
   */
  cpu: number
}

export type Family = 'ip4' | 'ip6'
export type Ports = Partial<Record<PathName | SocketName, number>>

export interface BulkListener extends Endpoints {
  close(): Promise<void>
}

/**
 * DNS names are taken for those of IPv4 addresses, unless they say otherwise
 */
export function familyOf (addr: Multiaddr): Family {
  return addr.getComponents()[0]?.name.endsWith('6') === true ? 'ip6' : 'ip4'
}

/**
 * Where the path begins, at a host like `/ip4/127.0.0.1`
 */
export function addressOf ({ name, node, transport }: Path, host: string, { ports, peers }: Endpoints): Multiaddr {
  const port = ports[familyOf(multiaddr(host))][name]

  if (port == null) {
    throw new Error('The listener does not have it')
  }

  const path = { tcp: `tcp/${port}`, quic: `udp/${port}/quic-v1`, ws: `tcp/${port}/ws` }[transport]

  return multiaddr(`${host}/${path}/p2p/${peers[node]}`)
}

async function answer (stream: Stream, value: unknown): Promise<void> {
  stream.send(new TextEncoder().encode(JSON.stringify(value)))
  await stream.close()
}

function readWith (read: (stream: Stream) => AsyncIterable<{ byteLength: number }>): StreamHandler {
  return async stream => {
    let bytes = 0

    for await (const chunk of read(stream)) {
      bytes += chunk.byteLength
    }

    await answer(stream, bytes)
  }
}

/**
 * Only one encrypter of a node can have the protocol of TLS
 */
const INIT: Record<NodeName, NodeInit> = {
  stock: { connectionEncrypters: [noise(), tls()] },
  ours: { connectionEncrypters: [socketTls()], services: { streamOpener: streamOpener() } }
}

async function startNode (name: NodeName, listen: string[]): Promise<Libp2p> {
  return createStockNode(undefined, {
    ...INIT[name],
    addresses: { listen },
    // not every machine has IPv6
    transportManager: {
      faultTolerance: FaultTolerance.NO_FATAL
    }
  })
}

function portOf (node: Libp2p, family: Family, transport: Path['transport']): number | undefined {
  const addr = node.getMultiaddrs().find(addr => familyOf(addr) === family && transportOf(addr) === transport)
  const port = addr?.getComponents().find(({ name }) => name === 'tcp' || name === 'udp')?.value

  return port == null ? undefined : Number(port)
}

/**
 * Port 0 is any that is free, otherwise QUIC has the same as TCP, and the others
 * those that follow
 */
export async function startBulkListener (hosts: string[], port = 0): Promise<BulkListener> {
  const next = (i: number): number => port === 0 ? 0 : port + i
  const listen = (port: number): string[] => hosts.flatMap(host => [`${host}/tcp/${port}`, `${host}/udp/${port}/quic-v1`])

  const nodes: Record<NodeName, Libp2p> = {
    stock: await startNode('stock', [...listen(next(0)), ...hosts.map(host => `${host}/tcp/${next(1)}/ws`)]),
    ours: await startNode('ours', listen(next(2)))
  }
  const sockets = await listenOnSockets(next(3), next(4))

  const portsOf = (family: Family): Ports => ({
    ...sockets.ports,
    ...Object.fromEntries(PATHS.map(({ name, node, transport }) => [name, portOf(nodes[node], family, transport)]))
  })
  const endpoints: Endpoints = {
    ports: { ip4: portsOf('ip4'), ip6: portsOf('ip6') },
    peers: { stock: nodes.stock.peerId.toString(), ours: nodes.ours.peerId.toString() }
  }

  const limits = { maxInboundStreams: 256 }

  for (const name of NODES) {
    await nodes[name].handle(STOCK_READER, readWith(stream => stream), limits)
    await nodes[name].handle(BULK_READER, readWith(stream => receiveBulk(stream)), limits)
    await nodes[name].handle(STATUS, async stream => {
      const { user, system } = process.cpuUsage()

      await answer(stream, { cpu: user + system, ...endpoints } satisfies Status)
    }, limits)
  }

  return {
    ...endpoints,
    close: async () => {
      sockets.close()
      await Promise.all(NODES.map(async name => nodes[name].stop()))
    }
  }
}
