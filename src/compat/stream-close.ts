import { nextTurn } from '../util/next-turn.ts'
import { toError } from './to-error.ts'
import type { Stream, StreamCloseEvent } from '@libp2p/interface'

/**
 * Closes a stream that may be aborted meanwhile: `AbstractStream.close` waits for ever
 * for the room that data which was thrown away then would have needed, and rejects with
 * what is not an Error
 */
export async function closeStream (stream: Stream, close: () => Promise<void>): Promise<void> {
  if (stream.writeBufferLength === 0 && !stream.writableNeedsDrain) {
    return close()
  }

  const { promise, reject } = Promise.withResolvers<never>()
  const onClose = (evt: StreamCloseEvent): void => {
    // it may be what was waited for
    nextTurn(() => { reject(toError(evt)) })
  }

  promise.catch(() => {})
  stream.addEventListener('close', onClose)

  try {
    await Promise.race([close(), promise])
  } catch (err) {
    throw toError(err)
  } finally {
    stream.removeEventListener('close', onClose)
  }
}
