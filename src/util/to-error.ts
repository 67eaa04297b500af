import { AbortError, StreamStateError } from '@libp2p/interface'
import type { StreamCloseEvent } from '@libp2p/interface'

function isEvent (thrown: unknown): thrown is StreamCloseEvent {
  return thrown instanceof Event
}

/**
 * What was thrown, or is the reason of a signal, as an Error. Applications abort with
 * whatever they like, and libp2p rejects `stream.close()` with the event that the
 * stream was closed with, see compat/stream-close.ts.
 */
export function toError (thrown: unknown): Error {
  if (thrown instanceof Error) {
    return thrown
  }

  if (isEvent(thrown)) {
    return thrown.error ?? new StreamStateError('The stream was closed')
  }

  // an object need not have a string to say for itself
  const message = Object(thrown) === thrown ? 'The reason is not an Error' : String(thrown)

  return Object.assign(new AbortError(message), { cause: thrown })
}

/**
 * The promise, which rejects with nothing else than Errors
 */
export async function withErrors <T> (promise: Promise<T>): Promise<T> {
  try {
    return await promise
  } catch (err) {
    throw toError(err)
  }
}
