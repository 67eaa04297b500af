/**
 * node test/interop/upstream/js-libp2p-tls-settles.ts
 *
 * Dials a listener that agrees to encrypt the connection, and then ends it, resets it or
 * says nothing. Prints when the dial is over.
 */
import { createServer } from 'node:net'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { tls as socketTls } from '../../../src/tls/index.ts'
import type { AddressInfo, Socket } from 'node:net'

const ENCRYPTERS = {
  noise: ['/noise', noise()],
  '@libp2p/tls': ['/tls/1.0.0', tls()],
  'libp2p-stream-opener/tls': ['/tls/1.0.0', socketTls()]
} as const

const ENDINGS: Record<string, (socket: Socket) => unknown> = {
  'ends the connection': socket => socket.end(),
  'resets the connection': socket => socket.resetAndDestroy()
}

function message (text: string): Buffer {
  return Buffer.from(`${String.fromCharCode(text.length + 1)}${text}\n`)
}

for (const [name, [protocol, encrypter]] of Object.entries(ENCRYPTERS)) {
  for (const [ending, end] of Object.entries(ENDINGS)) {
    const server = createServer({ allowHalfOpen: false }, socket => {
      let received = Buffer.alloc(0)
      const agreed = Buffer.concat([message('/multistream/1.0.0'), message(protocol)])

      socket.write(agreed)
      socket.on('error', () => {})
      socket.on('data', chunk => {
        received = Buffer.concat([received, chunk])

        // the first bytes of the handshake have come
        if (received.byteLength > agreed.byteLength) {
          end(socket)
        }
      })
    })

    await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })

    const node = await createLibp2p({ transports: [tcp()], connectionEncrypters: [encrypter as any], streamMuxers: [yamux()], connectionManager: { reconnectRetries: 0 } })
    const { port } = server.address() as AddressInfo
    const start = performance.now()
    const outcome = await node.dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}`)).then(() => 'connected', ({ name }) => name)

    process.stdout.write(`${name}, the listener ${ending}: ${outcome} after ${((performance.now() - start) / 1000).toFixed(1)} s\n`)
    await node.stop()
    server.close()
  }
}
