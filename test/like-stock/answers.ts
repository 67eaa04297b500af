/**
 * What listeners do with a stream. All are stock handlers: they know nothing of how
 * it was opened.
 */
import { readAll } from '../fixtures/streams.ts'
import { answerElsewhere } from './elsewhere.ts'
import { ANSWER, readRequest } from './request.ts'
import type { Connection, Stream } from '@libp2p/interface'

export type Answer = (stream: Stream, connection: Connection) => Promise<void>

export const ANSWERS: Record<string, Answer> = {
  'answers and ends': async stream => {
    await readRequest(stream)
    stream.send(ANSWER)
    await stream.close()
  },

  'answers in several writes and ends': async stream => {
    await readRequest(stream)

    for (let i = 0; i < 3; i++) {
      stream.send(ANSWER)
      await new Promise<void>(resolve => { setImmediate(resolve) })
    }

    await stream.close()
  },

  'ends without an answer': async stream => {
    await readRequest(stream)
    await stream.close()
  },

  'answers at the end of the request': async stream => {
    await readAll(stream)
    stream.send(ANSWER)
    await stream.close()
  },

  'answers and resets': async stream => {
    await readRequest(stream)
    stream.send(ANSWER)
    await new Promise<void>(resolve => { setImmediate(resolve) })
    stream.abort(new Error('No more'))
  },

  'resets when it has the request': async stream => {
    await readRequest(stream)
    stream.abort(new Error('No'))
  },

  'resets at once': async stream => {
    stream.abort(new Error('Not you'))
  },

  'never answers': async () => {}
}

/**
 * Over QUIC a reset is indistinguishable from an end, and one that comes before a program has
 * the stream fails in as many ways as there are moments. So of these programs it is
 * asked that they fail, or do what they do with stock.
 */
export const RESETS = ['answers and resets', 'resets when it has the request', 'resets at once']

/**
 * Those that answer on a stream of their own
 */
export const ANSWERS_ELSEWHERE: Record<string, Answer> = {
  'answers elsewhere': async (stream, connection) => {
    await answerElsewhere(connection, await readRequest(stream))
  },

  'answers elsewhere at the end of the request': async (stream, connection) => {
    await answerElsewhere(connection, await readAll(stream))
  }
}
