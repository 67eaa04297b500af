/**
 * node test/interop/upstream/js-libp2p-yamux-uncaught.ts
 *
 * Ends with an uncaught StreamStateError, it should print `rejected` and nothing else.
 */
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'

const init = { transports: [tcp()], connectionEncrypters: [noise()], streamMuxers: [yamux()], services: { identify: identify() } }
const listener = await createLibp2p({ ...init, addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] } })
const dialer = await createLibp2p(init)
const identified = new Promise(resolve => { dialer.addEventListener('peer:identify', resolve, { once: true }) })
const connection = await dialer.dial(listener.getMultiaddrs())
await identified

connection.newStream('/echo/1.0.0').catch(() => { process.stdout.write('rejected\n') })
connection.abort(new Error('Enough'))

await Promise.all([dialer.stop(), listener.stop()])
