/**
 * What listeners do with a stream. All are stock handlers: they know nothing of how
 * it was opened.
 */
import { readAll } from '../support/streams.ts'
import { answerElsewhere } from './elsewhere.ts'
import { ANSWER, readRequest } from './request.ts'
import { turn } from '../support/wait.ts'
import type { Case } from './compare.ts'
import type { Answer } from './request.ts'

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
      await turn()
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
    await turn()
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

const RESETS = ['answers and resets', 'resets when it has the request', 'resets at once']

/**
 * A reset is never a success, unless it is one with stock, as it is for who only listens
 * for `end`. In which way a program fails depends on the moment. Over QUIC, where a reset
 * looks like an end, that even decides whether stock hangs.
 */
export function isAsGoodWith (answer: string, reader: string): Case['isAsGood'] {
  return (seen, { how }, transport) => RESETS.includes(answer) && (
    seen.includes('fails with') ||
    (reader === 'message and end' && seen.endsWith('ends')) ||
    (transport === 'quic' && (seen.endsWith('ends') || how === 'stock'))
  )
}

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
