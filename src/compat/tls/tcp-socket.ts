/**
 * What upstream does: encrypters get the stream that @libp2p/tcp puts around its
 * `net.Socket`, and not the socket. So @libp2p/tls puts a JavaScript stream under
 * `node:tls`, and that moves a third of what `node:tls` does on the socket
 * (@libp2p/tcp 11, src/socket-to-conn.ts).
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/transport-tcp/src/socket-to-conn.ts,
 * test/interop/upstream/js-libp2p-tls-socket.md
 *
 * How it is detected: by the fields and methods below, and by the one `data` listener
 * through which the connection reads its socket.
 *
 * Without it: @libp2p/tls encrypts the connection as ever.
 *
 * Until: @libp2p/tls uses the socket itself.
 */
import { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { MessageStream, MultiaddrConnection } from '@libp2p/interface'
import type { AbstractMultiaddrConnection } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'

/**
 * Through which the connection closes, resets and writes to its socket
 */
type SocketMethods = Pick<AbstractMultiaddrConnection, 'sendClose' | 'sendReset' | 'sendData'>

export interface TcpConnection extends MultiaddrConnection, SocketMethods {
  readonly socket: Socket
  readonly readBuffer: Uint8ArrayList
  readonly writeBuffer: Uint8ArrayList
  onTransportClosed(): void
}

export function isTcpConnection (connection: MessageStream): connection is TcpConnection {
  const { socket, readBuffer, writeBuffer, sendClose, sendReset, sendData, onTransportClosed } = connection as Partial<TcpConnection>

  return socket instanceof Socket && !(socket instanceof TLSSocket) &&
    socket.listenerCount('data') === 1 &&
    typeof readBuffer?.consume === 'function' &&
    // what the connection has yet to write would be written after the ClientHello
    writeBuffer?.byteLength === 0 &&
    [sendClose, sendReset, sendData, onTransportClosed].every(method => typeof method === 'function')
}

/**
 * The connection neither reads nor writes its socket any more, and what it has read too
 * far is in the socket again. It still hears of errors, timeouts and the close.
 */
export function takeSocket ({ socket, readBuffer }: TcpConnection): Socket {
  // what flows while nobody listens is lost
  socket.pause()
  socket.removeAllListeners('data')
  socket.removeAllListeners('drain')

  if (readBuffer.byteLength > 0) {
    socket.unshift(readBuffer.subarray())
    readBuffer.consume(readBuffer.byteLength)
  }

  return socket
}
