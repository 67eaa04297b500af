import { raceSignal } from 'race-signal'
import { onceClosed } from '../outbound-stream.ts'
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
  } catch (err: any) {
    stream.abort(err)
  }
}

/**
 * Closes the connection gracefully, until the signal aborts
 */
export async function endConnection (connection: Connection, signal?: AbortSignal): Promise<void> {
  try {
    await raceSignal(connection.close({ signal }), signal)
  } catch (err: any) {
    connection.abort(err)
  }
}
