/**
 * node test/interop/upstream/js-libp2p-lost-fin.ts
 *
 * Prints `request` and then nothing more, it should print `end`.
 */
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'

const init = { transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()] }
const listener = await createLibp2p({ ...init, addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] } })
const dialer = await createLibp2p(init)

await listener.handle('/sink/1.0.0', async stream => {
  // looks something up before it reads
  await new Promise(resolve => { setTimeout(resolve, 100) })

  for await (const chunk of stream) {
    process.stdout.write(`${new TextDecoder().decode(chunk.subarray())}\n`)
  }

  process.stdout.write('end\n')
})

const stream = await dialer.dialProtocol(listener.getMultiaddrs(), '/sink/1.0.0')
stream.send(new TextEncoder().encode('request'))
await stream.close()

setTimeout(() => { process.exit() }, 2_000)
