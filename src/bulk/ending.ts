import { raceSignal } from 'race-signal'
import { isBeforeFirstByte } from '../outbound-stream.ts'
import { onceClosed } from '../util/streams.ts'
import { delay } from './deadline.ts'
import { toError } from '../util/to-error.ts'
import type { Connection, Stream } from '@libp2p/interface'

/**
 * Closes the stream and waits for the peer to do the same, until the signal aborts
 */
export async function endStream (stream: Stream, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()

  onceClosed(stream, resolve)

  try {
    await raceSignal(stream.close({ signal }), signal)
    await raceSignal(promise, signal)
  } catch (err) {
    stream.abort(toError(err))
  }
}

/**
 * Closes the connection gracefully, until the signal aborts
 */
export async function endConnection (connection: Connection, signal?: AbortSignal): Promise<void> {
  try {
    await raceSignal(connection.close({ signal }), signal)
  } catch (err) {
    connection.abort(toError(err))
  }
}

/**
 * Whether the connection has ended, so that it is too late for its `close` event
 */
export function isClosed ({ status }: Connection): boolean {
  return status !== 'open' && status !== 'closing'
}

/**
 * How long the loss of a connection may be behind the end of its streams, in ms
 */
const LOSS_DELAY = 100

/**
 * What a handshake fails with when its stream comes to its end, ours and libp2p's
 */
const ENDED_ERRORS = ['StreamClosedError', 'UnexpectedEOFError']

/**
 * When a QUIC connection is lost its streams come to their end, see
 * compat/quic-resets.ts, and a moment later it is known that there is no connection any
 * more: waits for that moment, unless a signal aborts
 */
export async function untilLossIsKnown (connection: Connection, err: Error, ...signals: Array<AbortSignal | undefined>): Promise<void> {
  if (!ENDED_ERRORS.includes(err.name) || connection.status !== 'open') {
    return
  }

  const closed = new AbortController()
  const onClose = (): void => { closed.abort() }

  connection.addEventListener('close', onClose)
  await delay(LOSS_DELAY, closed.signal, ...signals).catch(() => {})
  connection.removeEventListener('close', onClose)
}

/**
 * Whether it was the connection that failed, so that a stream can be opened on
 * another one
 */
export function isLost (connection: Connection, err: Error): boolean {
  return connection.status !== 'open' || isBeforeFirstByte(err)
}
