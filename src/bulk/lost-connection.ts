/**
 * What a connection that is lost does to the streams on it. Over QUIC they get to know
 * of it before the connection does, or never.
 */
import { ConnectionClosedError } from '@libp2p/interface'
import delay from 'delay'
import { isBeforeFirstByte } from '../outbound-stream.ts'
import { onceClosed } from '../util/streams.ts'
import { isClosed } from './ending.ts'
import { withSignal } from './with-signal.ts'
import type { Connection, Stream } from '@libp2p/interface'

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

/**
 * The stream does not outlive the connection. @chainsafe/libp2p-quic forgets every
 * other stream of a connection that is lost: its muxer takes those that it aborts
 * out of the list that it is going through.
 */
export function endWith (connection: Connection, stream: Stream): void {
  const onClose = (): void => {
    if (stream.status === 'open' || stream.status === 'closing') {
      stream.abort(new ConnectionClosedError('The connection was closed'))
    }
  }

  if (isClosed(connection)) {
    onClose()
    return
  }

  connection.addEventListener('close', onClose)
  onceClosed(stream, () => { connection.removeEventListener('close', onClose) })
}
