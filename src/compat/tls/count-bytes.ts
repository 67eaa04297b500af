/**
 * What upstream does: `metrics.trackMultiaddrConnection` counts what is passed to `send`
 * of a MultiaddrConnection, and its `message` events. What goes through the socket
 * past these is not counted (@libp2p/prometheus-metrics 5, src/index.ts).
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/metrics-prometheus/src/index.ts,
 * test/interop/upstream/js-libp2p-tls-socket.md
 *
 * How it is detected: it is not, both are public.
 *
 * Without it: the metrics show the bytes until the connection is encrypted only.
 *
 * Until: connections, or metrics, read `bytesRead` and `bytesWritten` of the socket.
 */
import { StreamMessageEvent } from '@libp2p/interface'
import type { TcpConnection } from './tcp-socket.ts'

/**
 * In place of what was sent and received, which JavaScript never gets to see
 */
const STAND_IN = new Uint8Array(65_536)

function inParts (bytes: number, pass: (part: Uint8Array) => void): void {
  for (; bytes > 0; bytes -= STAND_IN.byteLength) {
    pass(STAND_IN.subarray(0, bytes))
  }
}

/**
 * Has the metrics count what the socket reads and writes from now on, each time the
 * function that this returns is called. What the connection is given to send is sent
 * nowhere any more.
 */
export function countBytes (connection: TcpConnection): () => void {
  const { socket } = connection
  // the rest has been read from the socket, but not by the connection
  let received = socket.bytesRead - socket.readableLength
  let sent = socket.bytesWritten

  connection.sendData = data => ({ sentBytes: data.byteLength, canSendMore: true })

  return () => {
    const { bytesRead, bytesWritten } = socket

    inParts(bytesRead - received, part => { connection.dispatchEvent(new StreamMessageEvent(part)) })
    inParts(bytesWritten - sent, part => {
      try {
        connection.send(part)
      } catch {
        // a connection that is closing refuses, once the metrics have counted
      }
    })
    received = bytesRead
    sent = bytesWritten
  }
}
