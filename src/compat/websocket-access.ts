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
 * that can not be seen.
 *
 * The listener of @libp2p/websockets gives all of them an address that ends in
 * `/ws`. So this looks for the socket that `ws` keeps, through fields that are only
 * private to TypeScript.
 */
export function isSecureWebSocket (connection: Connection): boolean | undefined {
  const socket = (connection as WebSocketInternals).maConn?.websocket?._socket

  return socket == null ? undefined : socket.encrypted === true
}
