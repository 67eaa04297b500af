/**
 * node test/interop/upstream/node-tls-destroyed.ts [parent|child|later]
 *
 * Destroys a TLSSocket and the socket that it is on when the handshake is over: the socket
 * first, the TLSSocket first, or the socket first in the next turn of the event loop.
 * Without an argument each of them in a process of its own.
 */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectNet } from 'node:net'
import { connect, createServer } from 'node:tls'
import { cert, key } from '../../support/certificate.ts'
import type { AddressInfo } from 'node:net'

const [order] = process.argv.slice(2)

if (order == null) {
  for (const order of ['parent', 'child', 'later']) {
    const { status, signal } = spawnSync(process.execPath, [import.meta.filename, order])

    process.stdout.write(`${order}: ${signal ?? `exit code ${status}`}\n`)
  }
} else {
  const server = createServer({ cert, key }).on('tlsClientError', () => {}).listen(0, '127.0.0.1')
  await once(server, 'listening')

  const parent = connectNet((server.address() as AddressInfo).port, '127.0.0.1')
  const socket = connect({ socket: parent, rejectUnauthorized: false })

  function destroy (): void {
    parent.destroy()
    socket.destroy()
  }

  socket.once('secureConnect', () => {
    if (order === 'later') {
      setImmediate(destroy)
    } else if (order === 'child') {
      socket.destroy()
      parent.destroy()
    } else {
      destroy()
    }
  })

  await once(parent, 'close')
  server.close()
}
