import { AbortError } from '@libp2p/interface'
import { raceSignal } from 'race-signal'
import { NEGOTIATION_TIMEOUT } from '../constants.ts'
import { abortable, onceClosed } from '../util/streams.ts'
import { HEADER } from './multistream-select.ts'
import type { StreamMuxer } from '@libp2p/interface'

/**
 * Resolves when the listener has answered: opens a stream, begins to negotiate on it
 * and leaves it at that
 */
export async function probeListener (muxer: StreamMuxer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const signal = AbortSignal.timeout(NEGOTIATION_TIMEOUT)
  const stream = await abortable(Promise.resolve(muxer.createStream()), signal)

  // the stream may be closed by now, and then it is `send` that throws
  promise.catch(() => {})

  try {
    stream.addEventListener('message', () => { resolve() })
    onceClosed(stream, () => { reject(new AbortError('The stream was closed')) })
    stream.send(HEADER)
    await raceSignal(promise, signal)
  } finally {
    // nothing is wrong with it, but whatever is aborted is logged as an error
    stream.log.error = stream.log.trace
    stream.abort(new AbortError('The listener was only to show that it answers'))
  }
}
