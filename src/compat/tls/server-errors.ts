/**
 * What upstream does: as a server, `node:tls` on a socket says nothing of what goes wrong
 * after the handshake. It has no listener for it but the one of `tls.Server`
 * (Node.js 24, lib/_tls_wrap.js, `onerror` and `_tlsError`).
 *
 * Where: https://github.com/nodejs/node/blob/v24.x/lib/_tls_wrap.js,
 * test/interop/upstream/node-tls-server-errors.md
 *
 * How it is detected: it is not, the event is only there where it goes wrong.
 *
 * Without it: a connection with garbage in it stays open, and is never read again.
 *
 * Until: Node.js emits `error`, or closes the socket.
 */
import type { TLSSocket } from 'node:tls'

export function destroyOnError (socket: TLSSocket): void {
  socket.on('_tlsError', err => { socket.destroy(err) })
}
