/**
 * What upstream does: `stream.close()` waits for room, for ever, on a stream that is aborted
 * meanwhile: the data that needed it is thrown away, and nobody says so. Or it rejects with
 * the event that the stream was closed with, which is not an Error (@libp2p/utils 7,
 * src/abstract-stream.ts, `close`).
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/utils/src/abstract-stream.ts,
 * test/interop/upstream/js-libp2p-close-aborted.md
 *
 * How it is detected: it is not, only a stream that has data to pass on is watched.
 *
 * Without it: who closes a stream with data in it, and aborts it, waits for ever.
 *
 * Until: `close` rejects with the error of the abort.
 */
import { nextTurn } from '../util/next-turn.ts'
import { toError } from '../util/to-error.ts'
import type { MessageStream, StreamCloseEvent } from '@libp2p/interface'

/**
 * Closes a stream that may be aborted meanwhile
 */
export async function closeStream (stream: MessageStream, close: () => Promise<void>): Promise<void> {
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
