import { byteStream } from '@libp2p/utils'
import { pattern } from '../../test/support/streams.ts'
import type { Stream } from '@libp2p/interface'

/**
 * A protocol whose requests end with a half-close, and are answered then. The
 * handler looks at the state of the stream, so it never misses an end.
 */
export const REQUEST_RESPONSE = '/request-response/1.0.0'

const REQUEST = pattern(32)

export async function answerAtEnd (stream: Stream): Promise<void> {
  const reader = byteStream(stream)
  let length = 0

  for (let chunk = await reader.read(); chunk != null; chunk = await reader.read()) {
    length += chunk.byteLength
  }

  stream.send(REQUEST.subarray(0, length))
  await stream.close()
}

/**
 * Sends the request and its end, and resolves when all of the answer is there
 */
export async function request (stream: Stream): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let missing = REQUEST.byteLength

  stream.addEventListener('message', evt => {
    missing -= evt.data.byteLength

    if (missing === 0) {
      resolve()
    }
  })
  stream.addEventListener('close', evt => {
    reject(evt.error ?? new Error(`The stream ended ${missing} bytes before the answer did`))
  })

  stream.send(REQUEST)
  await Promise.all([promise, stream.close()])
}
