import { pEvent } from 'p-event'
import { pattern } from './streams.ts'
import type { Stream, StreamMessageEvent } from '@libp2p/interface'

const REQUEST = pattern(32)

/**
 * When an exchange is over: when `stream.close()` has returned, or when the listener
 * has closed its end as well, another round trip later
 */
export type Ending = 'close() returned' | 'closed at both ends'

export interface Timing {
  /**
   * From calling open to the first byte of the answer, in ms
   */
  firstByte: number

  /**
   * From calling open until `close()` has returned, in ms
   */
  total: number
}

/**
 * Sends the request, waits for as many bytes and closes the stream - returns when
 * the first byte came.
 *
 * All ways to open a stream are measured with this. It has to be cheap, iterating
 * over a stream costs a good part of what opening one does.
 */
export async function exchangeTimed (stream: Stream, ending: Ending): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  let missing = REQUEST.byteLength
  let firstByteAt = 0

  stream.addEventListener('message', evt => {
    if (missing === REQUEST.byteLength) {
      firstByteAt = performance.now()
    }

    missing -= evt.data.byteLength

    if (missing === 0) {
      stream.close().then(() => {
        if (ending === 'close() returned') {
          resolve(firstByteAt)
        }
      }, reject)
    }
  })
  stream.addEventListener('close', evt => {
    if (evt.error == null && missing === 0) {
      resolve(firstByteAt)
    } else {
      reject(evt.error ?? new Error(`The stream ended ${missing} bytes before the answer did`))
    }
  })

  try {
    stream.send(REQUEST)
  } catch (err) {
    reject(err)
  }

  return promise
}

export async function timeExchange (open: () => Promise<Stream>): Promise<Timing> {
  const start = performance.now()
  const firstByteAt = await exchangeTimed(await open(), 'close() returned')

  return {
    firstByte: firstByteAt - start,
    total: performance.now() - start
  }
}

/**
 * How long an answer takes on a stream that is open already, in ms
 */
export async function timeEcho (stream: Stream): Promise<number> {
  const start = performance.now()
  const answer = pEvent<'message', StreamMessageEvent>(stream as any, 'message')
  stream.send(REQUEST)
  await answer

  return performance.now() - start
}
