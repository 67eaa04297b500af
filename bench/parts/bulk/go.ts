/**
 * What go-libp2p makes of the same machine: one process of it sends to another one
 */
import { startPeer } from '../../../test/support/peer-process.ts'
import { PROTOCOLS } from '../../../test/support/peer-protocols.ts'
import { isBuilt } from '../../../test/support/peers.ts'
import { print } from '../print.ts'
import { KIB_64, MIB } from './matrix.ts'
import type { PeerProcess } from '../../../test/support/peer-process.ts'
import type { Cell } from './matrix.ts'
import type { Sample } from './pipe.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

export const GO_TCP = 'go-libp2p, TCP + tls'
export const GO_QUIC = 'go-libp2p, QUIC'

export const NEW_STREAM = 'NewStream'

/**
 * go-libp2p prefers TLS to noise where both ends have both
 */
const PATHS = [
  { path: GO_TCP, transport: 'tcp', amount: 256 },
  { path: GO_QUIC, transport: 'quic', amount: 96 }
] as const

async function transfer (from: PeerProcess, to: PeerProcess, addr: Multiaddr, amount: number): Promise<Sample> {
  const before = await Promise.all([from.cpu(), to.cpu()])
  const took = await from.bulk({ to: addr, protocol: PROTOCOLS.count, size: amount, chunk: KIB_64 })
  const [dialer, listener] = await Promise.all([from.cpu(), to.cpu()])
  const megabytes = amount / 1e6

  return {
    rate: megabytes * 1000 / took,
    dialer: (dialer - before[0]) / 1000 / megabytes,
    listener: (listener - before[1]) / 1000 / megabytes
  }
}

/**
 * Calls the function with what one stream of go-libp2p's is, and with nothing where
 * `npm run test:interop` has not built it
 */
export async function withGoCells <T> (scale: number, fn: (cells: Cell[]) => Promise<T>): Promise<T> {
  if (!isBuilt('go')) {
    print('go-libp2p is not built and is left out: npm run test:interop builds it where Go is installed')

    return fn([])
  }

  const peers: PeerProcess[] = []
  const start = async (): Promise<PeerProcess> => {
    const peer = await startPeer('go')
    peers.push(peer)

    return peer
  }

  try {
    const listener = await start()
    const cells: Cell[] = []

    for (const { path, transport, amount } of PATHS) {
      // a connection that is there would be used for the other transport as well
      const dialer = await start()

      cells.push({
        path,
        way: NEW_STREAM,
        connections: 'shared',
        streams: 1,
        chunk: KIB_64,
        sample: async () => transfer(dialer, listener, listener.address(transport), Math.ceil(amount * scale) * MIB)
      })
    }

    return await fn(cells)
  } finally {
    await Promise.all(peers.map(async peer => peer.stop()))
  }
}
