/**
 * What upstream does: a listener gives all its inbound connections an address that ends in
 * `/ws`, those that have come in over TLS as well (@libp2p/websockets 10, src/listener.ts).
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/transport-websockets/src/listener.ts,
 * test/interop/upstream/js-libp2p-wss-address.md
 *
 * How it is detected: by the socket that `ws` keeps, through fields that are only private
 * to TypeScript.
 *
 * Without it: the transport of an inbound WebSocket connection is `unknown`, and bulk
 * streams on `ws` or `wss` do not use it.
 *
 * Until: the address of such a connection ends in `/tls/ws`.
 */
import type { Connection } from '@libp2p/interface'

interface WebSocketInternals {
  maConn?: {
    websocket?: {
      _socket?: { encrypted?: boolean }
    }
  }
}

/**
 * Whether an inbound WebSocket connection has come in over TLS, or undefined where
 * that cannot be seen
 */
export function isSecureWebSocket (connection: Connection): boolean | undefined {
  const socket = (connection as WebSocketInternals).maConn?.websocket?._socket

  return socket == null ? undefined : socket.encrypted === true
}
