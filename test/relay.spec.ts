import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, it } from 'vitest'
import { createRelay } from './support/relay.ts'
import { pattern } from './support/streams.ts'
import type { AddressInfo } from 'node:net'

it('passes on what is behind a lost chunk after it, also if that holds another one', async () => {
  const server = createServer(socket => { socket.pipe(socket) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  let chunks = 0
  const relay = await createRelay(multiaddr(`/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`), {
    delay: 1,
    loses: () => chunks++ % 5 === 3
  })
  const port = Number(relay.addr.getComponents().find(({ name }) => name === 'tcp')?.value)
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  const sent = pattern(4_000)
  const received: Buffer[] = []

  const all = new Promise<void>(resolve => {
    socket.on('data', chunk => {
      received.push(chunk)

      if (Buffer.concat(received).byteLength === sent.byteLength) {
        resolve()
      }
    })
  })

  for (let i = 0; i < sent.byteLength; i += 200) {
    socket.write(sent.subarray(i, i + 200))
    // a chunk of its own
    await delay(2)
  }

  await all
  expect(Buffer.concat(received).equals(sent)).toBe(true)
  expect(chunks).toBeGreaterThan(8)

  socket.destroy()
  await relay.close()
  server.close()
  await once(server, 'close')
})
