/**
 * What @chainsafe/libp2p-quic keeps to itself
 */
import { quic } from '@chainsafe/libp2p-quic'
import { onTestFinished } from 'vitest'
import { streamOpener } from '../../src/index.ts'
import { addressOf, connectIdentified, createStockNode, stopNodes } from './nodes.ts'
import type { NodeInit, OpenerServices } from './nodes.ts'
import type { StreamOpenerInit } from '../../src/index.ts'
import type { Connection, Libp2p, Stream, StreamHandler } from '@libp2p/interface'

export interface NativeStream {
  id(): string
  read(maxLength: number): Promise<Uint8Array | null>
  write(data: Uint8Array): Promise<void>
}

export interface QuicMuxer {
  init: { connection: { outboundStream(): Promise<NativeStream> } }
  streams: Stream[]
  onInboundStream(native: NativeStream): void
  abort(err: Error): void
}

export function muxerOf (connection: Connection): QuicMuxer {
  return (connection as unknown as { muxer: QuicMuxer }).muxer
}

export type QuicInit = Parameters<typeof quic>[0]

/**
 * A node with QUIC, and the service unless it is told otherwise. It is stopped when the
 * test has finished.
 */
export async function createQuicNode (isListener: boolean, init: StreamOpenerInit | 'stock' = {}, quicInit?: QuicInit, node: NodeInit = {}): Promise<Libp2p<OpenerServices>> {
  const created = await createStockNode<OpenerServices>(isListener ? 'quic' : undefined, {
    transports: [quic(quicInit)],
    ...node,
    services: {
      ...node.services,
      ...(init === 'stock' ? {} : { streamOpener: streamOpener(init) })
    }
  })

  onTestFinished(async () => stopNodes(created))

  return created
}

/**
 * Which end has opened the stream
 */
export type Direction = 'inbound' | 'outbound'

export const DIRECTIONS: Direction[] = ['inbound', 'outbound']

export interface QuicPair {
  /**
   * The one that the test is about
   */
  node: Libp2p<OpenerServices>
  connection: Connection
  peer: Libp2p<OpenerServices>
  peerConnection: Connection

  /**
   * A new stream, at the node and at its peer
   */
  open(): Promise<{ stream: Stream, remote: Stream }>
}

const PROTOCOL = '/quic/1.0.0'

/**
 * A node whose streams have this direction, and a peer, which is stock unless it is
 * told otherwise
 */
export async function connectQuic (direction: Direction, init: StreamOpenerInit | 'stock' = {}, peerInit: StreamOpenerInit | 'stock' = 'stock', quicInit?: QuicInit): Promise<QuicPair> {
  const isListener = direction === 'inbound'
  const [node, peer] = await Promise.all([createQuicNode(isListener, init, quicInit), createQuicNode(!isListener, peerInit, quicInit)])
  const [dialer, listener] = isListener ? [peer, node] : [node, peer]
  let onStream: StreamHandler | undefined

  await listener.handle(PROTOCOL, async (stream, connection) => onStream?.(stream, connection), { maxInboundStreams: 10_000 })

  const outbound = await connectIdentified(dialer, listener, addressOf(listener))
  const [inbound] = listener.getConnections() as [Connection]

  return {
    node,
    connection: isListener ? inbound : outbound,
    peer,
    peerConnection: isListener ? outbound : inbound,
    open: async () => {
      const { promise, resolve } = Promise.withResolvers<Stream>()
      onStream = stream => { resolve(stream) }

      const opened = await outbound.newStream(PROTOCOL, { maxOutboundStreams: 10_000 })
      const accepted = await promise

      return isListener ? { stream: accepted, remote: opened } : { stream: opened, remote: accepted }
    }
  }
}

export interface NativeRead {
  native: NativeStream

  /**
   * How many bytes it has asked for, and has got. There is none as long as it waits.
   */
  asked: number
  got?: number
}

/**
 * Sees all native reads of this process, of all streams, until the test has finished
 */
export async function watchNativeReads ({ connection }: QuicPair): Promise<NativeRead[]> {
  // nobody knows of this stream but quinn
  const prototype = Object.getPrototypeOf(await muxerOf(connection).init.connection.outboundStream()) as NativeStream
  const { read } = prototype
  const reads: NativeRead[] = []

  prototype.read = async function (asked) {
    const one: NativeRead = { native: this, asked }
    reads.push(one)

    const data = await read.call(this, asked)
    one.got = data?.byteLength ?? 0

    return data
  }

  onTestFinished(() => { prototype.read = read })

  return reads
}

/**
 * The reads of the stream that has got the most
 */
export function busiest (reads: NativeRead[]): NativeRead[] {
  const bytes = new Map<NativeStream, number>()

  for (const { native, got } of reads) {
    bytes.set(native, (bytes.get(native) ?? 0) + (got ?? 0))
  }

  const [most] = [...bytes].sort(([, a], [, b]) => b - a)

  return reads.filter(({ native }) => native === most?.[0])
}
