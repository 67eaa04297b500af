/**
 * What upstream does: `node:tls` reads and writes the handle of a socket itself, so nothing
 * can be put in front of its first message, or taken out in front of the peer's
 * (Node.js 24, lib/_tls_wrap.js and src/crypto/crypto_tls.cc).
 *
 * Where: https://github.com/nodejs/node/blob/v24.x/lib/_tls_wrap.js,
 * test/interop/upstream/js-libp2p-tls-socket.md
 *
 * How it is detected: as in tcp-socket.ts, and what is no TCP connection does not get here.
 *
 * Without it: TLS would have to wait until the peer has confirmed it.
 *
 * Until: libp2p negotiates lazily itself, and @libp2p/tls uses the socket itself.
 */
import { Duplex } from 'node:stream'
import { takeSocket } from './tcp-socket.ts'
import type { StreamMessageEvent } from '@libp2p/interface'
import type { TcpConnection } from './tcp-socket.ts'

type Callback = (err?: Error | null) => void

/**
 * What `node:tls` has in place of the socket of a connection whose peer is yet to confirm
 * TLS: it goes through the connection, which has the rest of multistream-select to send and
 * to receive, and to the socket from when that is over. A chunk is passed on as it is, so
 * that takes a tenth or two of the throughput, and not two thirds as with what @libp2p/tls
 * has.
 */
export class EarlySocket extends Duplex {
  #isTaken = false
  readonly #connection: TcpConnection

  constructor (connection: TcpConnection) {
    super()
    this.#connection = connection
    connection.addEventListener('message', this.#onMessage)
    connection.socket.once('close', () => { this.destroy() })
  }

  /**
   * The peer has confirmed TLS. Returns whether the socket was taken, which it is not where
   * the connection has something to write that would be lost.
   */
  takeOver (): boolean {
    const connection = this.#connection

    if (connection.status !== 'open' || connection.writeBuffer.byteLength > 0) {
      return false
    }

    this.#isTaken = true
    connection.removeEventListener('message', this.#onMessage)

    const socket = takeSocket(connection)

    socket.on('data', chunk => { this.#pass(chunk) })
    socket.once('end', () => { this.push(null) })
    socket.resume()

    return true
  }

  override _read (): void {
    if (this.#isTaken) {
      this.#connection.socket.resume()
    }
  }

  override _write (chunk: Uint8Array, _: BufferEncoding, callback: Callback): void {
    this._writev([{ chunk }], callback)
  }

  override _writev (chunks: Array<{ chunk: Uint8Array }>, callback: Callback): void {
    const { socket } = this.#connection

    if (!this.#isTaken) {
      try {
        chunks.forEach(({ chunk }) => this.#connection.send(chunk))
        callback()
      } catch (err: any) {
        callback(err)
      }

      return
    }

    let canWriteMore = true

    socket.cork()

    for (const { chunk } of chunks) {
      canWriteMore = socket.write(chunk)
    }

    socket.uncork()

    if (canWriteMore) {
      callback()
    } else {
      socket.once('drain', callback)
    }
  }

  override _final (callback: Callback): void {
    this.#connection.socket.end(callback)
  }

  override _destroy (err: Error | null, callback: Callback): void {
    this.#connection.removeEventListener('message', this.#onMessage)
    this.#connection.socket.destroy()
    callback(err)
  }

  readonly #onMessage = ({ data }: StreamMessageEvent): void => {
    this.#pass(data.subarray())
  }

  #pass (chunk: Uint8Array): void {
    if (!this.push(chunk) && this.#isTaken) {
      this.#connection.socket.pause()
    }
  }
}
