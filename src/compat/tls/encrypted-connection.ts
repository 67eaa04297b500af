/**
 * What upstream does: a TCP connection closes, resets and ends with the socket that it
 * was made with, and libp2p closes that connection and not what the encrypter has made
 * of it. Nothing is there for a socket that takes the place of the first
 * (@libp2p/tcp 11, src/socket-to-conn.ts).
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/transport-tcp/src/socket-to-conn.ts,
 * test/interop/upstream/js-libp2p-tls-socket.md
 *
 * How it is detected: as in tcp-socket.ts, and what is no TCP connection does not get here.
 *
 * Without it: what TLS has yet to write would be lost when the connection is closed.
 *
 * Until: @libp2p/tls uses the socket itself.
 */
import { once } from 'node:events'
import { AbstractMultiaddrConnection } from '@libp2p/utils'
import type { AbortOptions } from '@libp2p/interface'
import type { SendResult } from '@libp2p/utils'
import type { TLSSocket } from 'node:tls'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { TcpConnection } from './tcp-socket.ts'

/**
 * How long the writing of what is left may be at a standstill after the peer has ended
 * the connection, in ms
 */
const FLUSH_TIMEOUT = 5_000

/**
 * What is sent and received through the TLS socket that has taken the place of the
 * connection's own. Both end together, whichever is closed, aborted or lost.
 */
export class EncryptedConnection extends AbstractMultiaddrConnection {
  readonly #connection: TcpConnection
  readonly #socket: TLSSocket
  readonly #count?: () => void

  constructor (connection: TcpConnection, socket: TLSSocket, count?: () => void) {
    super({
      log: connection.log,
      direction: connection.direction,
      remoteAddr: connection.remoteAddr,
      inactivityTimeout: connection.inactivityTimeout,
      maxReadBufferLength: connection.maxReadBufferLength
    })

    this.#connection = connection
    this.#socket = socket
    this.#count = count

    socket.on('data', data => {
      count?.()
      this.onData(data)
    })
    socket.on('drain', () => { this.safeDispatchEvent('drain') })
    // as the connection does when its own socket ends
    socket.once('end', () => { connection.onTransportClosed() })

    // libp2p closes the connection and not what it has got from the encrypter
    connection.sendClose = async options => {
      await this.close(options)
      await this.#closed(options)
    }

    const sendReset = connection.sendReset.bind(connection)

    connection.sendReset = err => {
      // a socket that is being shut down cannot be reset, and the connection's own does
      // not know that it is
      if (socket.writableEnded) {
        socket.destroy()
      } else {
        sendReset(err)
      }
    }

    connection.addEventListener('close', ({ error }) => {
      if (error != null) {
        this.abort(error)
      } else {
        socket.destroySoon()
        // node:tls may never say that it has written what a peer that has reset the
        // connection does not get
        connection.socket.setTimeout(FLUSH_TIMEOUT, () => { socket.destroy() })
        this.onTransportClosed()
      }
    })
  }

  sendData (data: Uint8ArrayList): SendResult {
    let canSendMore = true

    // the header of a frame and its data in one record, and in one system call
    this.#socket.cork()

    for (const bytes of data) {
      canSendMore = this.#socket.write(bytes)
    }

    this.#socket.uncork()
    this.#count?.()

    return { sentBytes: data.byteLength, canSendMore }
  }

  async sendClose (options?: AbortOptions): Promise<void> {
    this.#socket.destroySoon()
    await this.#closed(options)
  }

  sendReset (err: Error): void {
    this.#connection.abort(err)
  }

  sendPause (): void {
    this.#socket.pause()
  }

  sendResume (): void {
    this.#socket.resume()
  }

  async #closed (options?: AbortOptions): Promise<void> {
    if (!this.#socket.closed) {
      await once(this.#socket, 'close', options)
    }
  }
}
