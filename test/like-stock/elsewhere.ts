/**
 * Answers that do not come on the stream of the request: each listener keeps a stream
 * open to each dialer, as those of bitswap do, and tells it there which request was
 * answered.
 */
import { byteStream } from '@libp2p/utils'
import { REQUEST_LENGTH } from './request.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const ELSEWHERE = '/like-stock/elsewhere/1.0.0'

const streams = new WeakMap<Connection, Promise<Stream>>()

export async function openElsewhere (connection: Connection): Promise<Stream> {
  let stream = streams.get(connection)

  if (stream == null) {
    stream = connection.newStream(ELSEWHERE)
    streams.set(connection, stream)
  }

  return stream
}

export async function answerElsewhere (connection: Connection, request: Uint8Array): Promise<void> {
  const stream = await openElsewhere(connection)
  stream.send(request)
}

/**
 * Dispatches an event of the name of each request that was answered
 */
export async function listenElsewhere (node: Libp2p): Promise<EventTarget> {
  const answered = new EventTarget()

  await node.handle(ELSEWHERE, async stream => {
    const reader = byteStream(stream)

    while (true) {
      const request = await reader.read({ bytes: REQUEST_LENGTH })
      answered.dispatchEvent(new Event(new TextDecoder().decode(request.subarray())))
    }
  })

  return answered
}
