/**
 * What upstream does: @libp2p/websockets 10 leaves sockets open. One that it waits for
 * when the signal aborts is not closed (src/index.ts, `_connect`). And one whose
 * connection is aborted, as by an upgrade that fails, is closed with the code 1006, which
 * is not for applications to use, so that `close` throws (src/websocket-to-conn.ts,
 * `sendReset`).
 *
 * Where: https://github.com/libp2p/js-libp2p/tree/main/packages/transport-websockets/src,
 * test/interop/upstream/js-libp2p-ws-sockets.md
 *
 * How it is detected: by the transport of the address. `dial` hands its options to
 * p-event, and the connection has a method `sendClose`, where it is of the class of
 * @libp2p/utils.
 *
 * Without it: each dial that is given up, and each connection that is aborted, leaves a
 * socket behind until the peer closes it.
 *
 * Until: `_connect` closes the socket whenever it throws, and `sendReset` without a code.
 */
import type { TransportName } from '../types.ts'
import type { MultiaddrConnection } from '@libp2p/interface'

export function leavesSocketsOpen (transport: TransportName): boolean {
  return transport === 'ws' || transport === 'wss'
}

/**
 * What to dial with in place of a signal: when so many ms are over, p-event ends the
 * wait, and other than after an abort the socket is closed
 */
export function untilTimeout (timeout: number): { signal: AbortSignal } {
  const options = { signal: new AbortController().signal, timeout }

  return options
}

/**
 * The socket is closed when its connection is
 */
export function closeSocketOf (maConn: MultiaddrConnection): void {
  maConn.addEventListener('close', () => { closeSocket(maConn) }, { once: true })
}

/**
 * The connection has been aborted
 */
export function closeSocket (maConn: MultiaddrConnection & { sendClose?(): Promise<void> }): void {
  maConn.sendClose?.().catch(err => { maConn.log.error('could not close the socket - %e', err) })
}
