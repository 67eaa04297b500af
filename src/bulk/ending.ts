/**
 * Ends that are graceful until a signal aborts
 */
import { raceSignal } from 'race-signal'
import { toError } from '../util/to-error.ts'
import { onceClosed } from '../util/streams.ts'
import type { Connection, Stream } from '@libp2p/interface'

/**
 * Closes the stream and waits for the peer to do the same
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

export async function endConnection (connection: Connection, signal?: AbortSignal): Promise<void> {
  try {
    await raceSignal(connection.close({ signal }), signal)
  } catch (err) {
    connection.abort(toError(err))
  }
}
