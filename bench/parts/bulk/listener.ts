/**
 * What bulk data is sent to: a node that knows nothing of this package but for one
 * protocol handler, and sockets without libp2p
 */
import { FaultTolerance } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { tls } from '@libp2p/tls'
import { receiveBulk, transportOf } from '../../../src/index.ts'
import { createStockNode } from '../../../test/support/nodes.ts'
import { listenOnSockets } from './sockets.ts'
import type { SocketName } from './paths.ts'
import type { TransportName } from '../../../src/index.ts'
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

export interface Status {
  /**
   * CPU time of the process so far, in us
   */
  cpu: number

  /**
   * What it listens on, on all interfaces that it was told
   */
  ports: Record<Family, Ports>
}

export type Family = 'ip4' | 'ip6'
export type Ports = Partial<Record<TransportName | SocketName, number>>

export interface BulkListener {
  node: Libp2p
  ports: Status['ports']
  close(): Promise<void>
}

/**
 * DNS names are taken for those of IPv4 addresses, unless they say otherwise
 */
export function familyOf (addr: Multiaddr): Family {
  return addr.getComponents()[0]?.name.endsWith('6') === true ? 'ip6' : 'ip4'
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
 * Port 0 is any that is free, otherwise QUIC has the same as TCP, and the others
 * those that follow
 */
export async function startBulkListener (hosts: string[], port = 0): Promise<BulkListener> {
  const next = (i: number): number => port === 0 ? 0 : port + i

  const node = await createStockNode(undefined, {
    addresses: {
      listen: hosts.flatMap(host => [`${host}/tcp/${next(0)}`, `${host}/udp/${next(0)}/quic-v1`, `${host}/tcp/${next(1)}/ws`])
    },
    // not every machine has IPv6
    transportManager: {
      faultTolerance: FaultTolerance.NO_FATAL
    },
    connectionEncrypters: [noise(), tls()]
  })
  const sockets = await listenOnSockets(next(2), next(3))
  const ports: Status['ports'] = { ip4: { ...sockets.ports }, ip6: { ...sockets.ports } }

  for (const addr of node.getMultiaddrs()) {
    const port = addr.getComponents().find(({ name }) => name === 'tcp' || name === 'udp')?.value

    ports[familyOf(addr)][transportOf(addr)] = Number(port)
  }

  const limits = { maxInboundStreams: 256 }

  await node.handle(STOCK_READER, readWith(stream => stream), limits)
  await node.handle(BULK_READER, readWith(stream => receiveBulk(stream)), limits)
  await node.handle(STATUS, async stream => {
    const { user, system } = process.cpuUsage()

    await answer(stream, { cpu: user + system, ports } satisfies Status)
  }, limits)

  return {
    node,
    ports,
    close: async () => {
      sockets.close()
      await node.stop()
    }
  }
}
