/**
 * node test/interop/upstream/js-libp2p-noise-copies.ts
 *
 * Prints how many bytes noise copies for each that it receives, and how fast it is
 * with and without that.
 */
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { Uint8ArrayList } from 'uint8arraylist'

const init = { transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()] }
const SINK = '/sink/1.0.0'
const MIB = 1024 * 1024
const TAG_LENGTH = 16

const listener = await createLibp2p({ ...init, addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] } })
let received = 0
await listener.handle(SINK, async stream => {
  for await (const chunk of stream) {
    received += chunk.byteLength
  }

  await stream.close()
})

const dialer = await createLibp2p(init)
const connection = await dialer.dial(listener.getMultiaddrs())

async function send (length: number): Promise<number> {
  const start = performance.now()
  const stream = await connection.newStream(SINK)
  const closed = new Promise(resolve => { stream.addEventListener('close', resolve) })
  stream.send(new Uint8Array(length))
  await stream.close()
  await closed

  return length / 1000 / (performance.now() - start)
}

const { subarray } = Uint8ArrayList.prototype
const nothing = new Uint8Array(0)
let copied = 0
let leavesOut = false

// what `decrypt` asks for is its second argument for the cipher, and that of Node.js
// does not look at it
Uint8ArrayList.prototype.subarray = function (start, end) {
  if (start === 0 && end === this.byteLength - TAG_LENGTH && [...this].length > 1) {
    copied += end

    return leavesOut ? nothing : subarray.call(this, start, end)
  }

  return subarray.call(this, start, end)
}

await send(32 * MIB)
process.stdout.write(`${(copied / received).toFixed(2)} bytes copied for each that was received\n`)

const rates: Record<'with' | 'without', number[]> = { with: [], without: [] }

for (let i = 0; i < 10; i++) {
  leavesOut = i % 2 === 1
  rates[leavesOut ? 'without' : 'with'].push(await send(128 * MIB))
}

for (const [how, values] of Object.entries(rates)) {
  process.stdout.write(`${how} the copies: ${values.toSorted((a, b) => a - b)[2]?.toFixed(0)} MB/s, both ends in one process\n`)
}

await dialer.stop()
await listener.stop()
