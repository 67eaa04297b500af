import { isConnection } from '@libp2p/interface'
import { Circuit, Memory, QUIC, QUIC_V1, TCP, WebRTC, WebRTCDirect, WebSockets, WebSocketsSecure, WebTransport } from '@multiformats/multiaddr-matcher'
import { isSecureWebSocket } from './compat/websocket-access.ts'
import type { TransportName } from './types.ts'
import type { Connection } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * The first one that matches: what is relayed has the address of the relay in
 * front, unless it is only how two peers found each other
 */
const MATCHERS: Array<[TransportName, { exactMatch(addr: Multiaddr): boolean }]> = [
  ['webrtc', WebRTC],
  ['relay', Circuit],
  ['webrtc-direct', WebRTCDirect],
  ['webtransport', WebTransport],
  ['quic', QUIC_V1],
  ['quic', QUIC],
  ['wss', WebSocketsSecure],
  ['ws', WebSockets],
  ['tcp', TCP],
  ['memory', Memory]
]

/**
 * What carries a connection, or would carry one to the address. A connection that
 * goes through a relay is `relay`, whatever the relay is reached by.
 */
export function transportOf (target: Connection | Multiaddr): TransportName {
  const addr = isConnection(target) ? target.remoteAddr : target
  const transport = MATCHERS.find(([, matcher]) => matcher.exactMatch(addr))?.[0] ?? 'unknown'

  if (transport === 'ws' && isConnection(target) && target.direction === 'inbound') {
    return nameOf(isSecureWebSocket(target))
  }

  return transport
}

function nameOf (isSecure: boolean | undefined): TransportName {
  if (isSecure == null) {
    return 'unknown'
  }

  return isSecure ? 'wss' : 'ws'
}
