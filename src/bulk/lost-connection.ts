/**
 * Whether it was the connection that was lost. Over QUIC its streams get to know of it
 * before the connection does, see compat/quic/resets.ts.
 */
import delay from 'delay'
import { isBeforeFirstByte } from '../outbound-stream.ts'
import { withSignal } from './with-signal.ts'
import type { Connection } from '@libp2p/interface'

/**
 * How long the loss of a connection may be behind the end of its streams, in ms
 */
const LOSS_DELAY = 100

/**
 * What a handshake fails with when its stream comes to its end, ours and libp2p's
 */
const ENDED_ERRORS = ['StreamClosedError', 'UnexpectedEOFError']

/**
 * Whether it was the connection that failed, so that a stream can be opened on
 * another one
 */
export function isLost (connection: Connection, err: Error): boolean {
  return connection.status !== 'open' || isBeforeFirstByte(err)
}

/**
 * The same, but where it may take a moment to be known it waits for that
 */
export async function turnsOutLost (connection: Connection, err: Error, signal: AbortSignal): Promise<boolean> {
  if (ENDED_ERRORS.includes(err.name) && connection.status === 'open') {
    const closed = new AbortController()
    const onClose = (): void => { closed.abort() }

    connection.addEventListener('close', onClose)
    await withSignal([closed.signal, signal], async signal => delay(LOSS_DELAY, { signal })).catch(() => {})
    connection.removeEventListener('close', onClose)
  }

  return isLost(connection, err)
}
