/**
 * Bulk data over sockets of Node.js: what the path, the kernel and OpenSSL can do
 */
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import { cert, key } from '../../../test/support/certificate.ts'
import type { SocketName } from './paths.ts'
import type { Pipe } from './pipe.ts'
import type { AddressInfo, Server, Socket } from 'node:net'

export interface SocketListeners {
  ports: Record<SocketName, number>
  close(): void
}

function onSocket (socket: Socket): void {
  let bytes = 0

  socket.on('data', chunk => { bytes += chunk.byteLength })
  socket.on('end', () => { socket.end(String(bytes)) })
  socket.on('error', () => { socket.destroy() })
}

async function listen (server: Server, port: number): Promise<number> {
  // on all interfaces, as the nodes are in the two-machine mode
  server.listen(port)
  await once(server, 'listening')

  return (server.address() as AddressInfo).port
}

export async function listenOnSockets (netPort: number, tlsPort: number): Promise<SocketListeners> {
  const plain = net.createServer({ allowHalfOpen: true }, onSocket)
  const secure = tls.createServer({ allowHalfOpen: true, cert, key }, onSocket)

  return {
    ports: {
      'node:net': await listen(plain, netPort),
      'node:tls': await listen(secure, tlsPort)
    },
    close: () => {
      plain.close()
      secure.close()
    }
  }
}

/**
 * How long a host may take to answer, in ms
 */
const PATIENCE = 5000

async function connect (name: SocketName, host: string, port: number): Promise<Socket> {
  // everybody has the key of this certificate, and it is not the host's
  const socket = name === 'node:net' ? net.connect({ host, port }) : tls.connect({ host, port, rejectUnauthorized: false })

  try {
    await once(socket, name === 'node:net' ? 'connect' : 'secureConnect', { signal: AbortSignal.timeout(PATIENCE) })
  } catch (err) {
    socket.destroy()

    throw err
  }

  return socket
}

async function readText (socket: Socket): Promise<string> {
  let text = ''

  for await (const chunk of socket) {
    text += String(chunk)
  }

  return text
}

export async function openSocket (name: SocketName, host: string, port: number): Promise<Pipe> {
  const socket = await connect(name, host, port)

  return {
    answer: readText(socket).then(Number),
    buffered: () => socket.writableLength,
    send: async source => {
      for (const chunk of source) {
        if (!socket.write(chunk)) {
          await once(socket, 'drain')
        }
      }

      socket.end()
    }
  }
}
