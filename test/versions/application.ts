/**
 * What an application does with the types of this package, to be checked with those
 * of older packages
 */
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { streamOpener } from 'libp2p-stream-opener'
import type { Connection, Stream } from '@libp2p/interface'
import type { PeerStatus } from 'libp2p-stream-opener'

const node = await createLibp2p({
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), streamOpener: streamOpener({ intercept: ['/a/1.0.0'] }) }
})

export async function open (connection: Connection): Promise<Stream[]> {
  const { streamOpener } = node.services

  return [
    await streamOpener.newStream(connection.remotePeer, '/a/1.0.0', { signal: AbortSignal.timeout(1_000), priority: 1 }),
    await streamOpener.newStream(connection.remoteAddr, ['/a/1.0.0', '/b/1.0.0'], {
      maxOutboundStreams: 1,
      onProgress: evt => { node.logger.forComponent('application').trace(evt.type) }
    }),
    await streamOpener.newStream([connection.remoteAddr], '/a/1.0.0'),
    await streamOpener.newStreamOn(connection, '/a/1.0.0', { halfClose: 'immediate', queueTimeout: 1_000, runOnLimitedConnection: true })
  ]
}

export function statusOf (connection: Connection): PeerStatus {
  return node.services.streamOpener.status(connection.remotePeer)
}

// @ts-expect-error what is no peer is no peer, so the types are those of this libp2p
await node.services.streamOpener.newStream(1, '/a/1.0.0')
