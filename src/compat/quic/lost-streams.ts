/**
 * What upstream does: every other stream of a QUIC connection that is lost stays open for
 * ever. The muxer takes those that it aborts out of the list that it is going through
 * (@chainsafe/libp2p-quic 2, src/stream-muxer.ts, `abort`).
 *
 * Where: https://github.com/ChainSafe/js-libp2p-quic/blob/main/src/stream-muxer.ts,
 * test/interop/upstream/js-libp2p-quic-lost-streams.md
 *
 * How it is detected: quic-streams.ts does it for all streams of a connection. Where that
 * cannot, or is not to, it is not detected: a stream that has ended with its connection is left
 * alone.
 *
 * Without it: who reads from such a stream, or waits for it to close, waits for ever.
 *
 * Until: the muxer goes through a copy of its list.
 */
import { ConnectionClosedError } from '@libp2p/interface'
import { hasEnded, onceClosed } from '../../util/streams.ts'
import type { Connection, Stream } from '@libp2p/interface'

/**
 * The stream does not outlive the connection
 */
export function endWith (connection: Connection, stream: Stream): void {
  const onClose = (): void => {
    if (!hasEnded(stream)) {
      stream.abort(new ConnectionClosedError('The connection was closed'))
    }
  }

  if (hasEnded(connection)) {
    onClose()
    return
  }

  connection.addEventListener('close', onClose)
  onceClosed(stream, () => { connection.removeEventListener('close', onClose) })
}
