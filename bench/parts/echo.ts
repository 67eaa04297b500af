import type { Stream } from '@libp2p/interface'

/**
 * Cheaper than `for await`, so that less of what is measured is the listener.
 * Dialers have to wait for the answer before they close the stream, or the
 * listeners come too late for the FIN.
 */
export function echo (stream: Stream): void {
  stream.addEventListener('message', evt => { stream.send(evt.data) })
  stream.addEventListener('remoteCloseWrite', () => {
    stream.close().catch(err => { stream.abort(err) })
  })
}
