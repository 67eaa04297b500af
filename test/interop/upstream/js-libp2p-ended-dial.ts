/**
 * node test/interop/upstream/js-libp2p-ended-dial.ts
 *
 * Prints what came of a dial that begins so many microtasks after another one of
 * the same peer was aborted.
 */
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'

const init = { transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()] }
const listener = await createLibp2p({ ...init, connectionManager: { inboundConnectionThreshold: Infinity }, addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] } })
const outcomes: Array<Promise<string>> = []

for (let microtasks = 0; microtasks < 14; microtasks++) {
  const dialer = await createLibp2p(init)
  const controller = new AbortController()
  const first = dialer.dial(listener.getMultiaddrs(), { signal: controller.signal }).catch(() => {})

  await new Promise(resolve => { setImmediate(resolve) })
  controller.abort()

  for (let i = 0; i < microtasks; i++) {
    await Promise.resolve()
  }

  const outcome = Promise.race([
    dialer.dial(listener.getMultiaddrs()).then(() => 'connected', ({ name }) => name),
    new Promise(resolve => { setTimeout(resolve, 2_000, 'nothing within 2 s') })
  ])

  outcomes.push(outcome.finally(async () => dialer.stop()))
  await first
}

for (const [microtasks, outcome] of outcomes.entries()) {
  process.stdout.write(`${microtasks} ${await outcome}\n`)
}

await listener.stop()
