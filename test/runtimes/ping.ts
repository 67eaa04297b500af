import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { streamOpener } from 'libp2p-stream-opener'
import type { Ping } from '@libp2p/ping'
import type { Libp2p } from '@libp2p/interface'

async function createNode (): Promise<Libp2p<{ ping: Ping }>> {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ping: ping(), streamOpener: streamOpener({ intercept: true }) }
  })
}

const listener = await createNode()
const dialer = await createNode()

// before identify has arrived, and after that
await dialer.services.ping.ping(listener.getMultiaddrs())
await dialer.services.ping.ping(listener.peerId)
process.stdout.write('pinged twice\n')

await dialer.stop()
await listener.stop()
