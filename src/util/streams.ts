import { raceSignal } from 'race-signal'
import type { Connection, Stream } from '@libp2p/interface'

/**
 * Rejects with the reason of the signal when it aborts - the stream is then
 * aborted as soon as it is there
 */
export async function abortable (opening: Promise<Stream>, signal?: AbortSignal): Promise<Stream> {
  try {
    return await raceSignal(opening, signal)
  } catch (err: any) {
    opening.then(stream => { stream.abort(err) }, () => {})

    throw err
  }
}

/**
 * Whether it has ended, so that it is too late for its `close` event
 */
export function hasEnded ({ status }: Stream | Connection): boolean {
  return status !== 'open' && status !== 'closing'
}

/**
 * Calls the function when the stream is closed, which it may be already
 */
export function onceClosed (stream: Stream, fn: () => void): void {
  if (hasEnded(stream)) {
    fn()
  } else {
    stream.addEventListener('close', fn, { once: true })
  }
}

/**
 * Whether the peer may send more
 */
export function canReceive (stream: Stream): boolean {
  return stream.status === 'open' && stream.remoteWriteStatus === 'writable'
}
