/**
 * A listener in a process of its own that has every default that libp2p has, its
 * limits above all
 */
import { quic } from '@chainsafe/libp2p-quic'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { addressOf } from '../../test/support/nodes.ts'
import { ECHO } from '../../test/support/streams.ts'
import { ready } from './child.ts'
import { echo } from './echo.ts'

const node = await createLibp2p({
  addresses: {
    listen: [process.argv[2] === 'quic' ? '/ip4/127.0.0.1/udp/0/quic-v1' : '/ip4/127.0.0.1/tcp/0']
  },
  transports: [tcp(), quic()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify()
  }
})
await node.handle(ECHO, echo)

ready(addressOf(node).toString(), [node])
