/**
 * What upstream does: a stream whose connection has ended without an error, as that of a
 * process that was killed does, is `closed` like one that both ends have closed. It says
 * that the peer has ended it, and has no error (@libp2p/utils 7,
 * src/abstract-message-stream.ts, `onTransportClosed`).
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/utils/src/abstract-message-stream.ts,
 * test/interop/upstream/js-libp2p-silent-loss.md
 *
 * How it is detected: the muxer tells its streams with `onTransportClosed`, and is seen to
 * do it. One that has no such method, as that of QUIC, aborts them.
 *
 * Without it: who comes to a stream when it is closed cannot tell, so receiveBulk does not
 * take that for the end.
 *
 * Until: a stream that was lost has an error, or keeps that the peer has not ended it.
 */
import { override } from '../util/override.ts'
import { hasEnded } from '../util/streams.ts'
import type { Stream, StreamMuxer } from '@libp2p/interface'

type ClosableMuxer = StreamMuxer & { onTransportClosed?(err?: Error): void }

const watched = new WeakSet<StreamMuxer>()

/**
 * Whether the stream is not lost, or not before the peer has ended it. It is kept with the
 * stream: an entry in a set took 5 us of each open.
 */
const IS_KEPT = Symbol('libp2p-stream-opener.is-kept')

type WatchedStream = Stream & { [IS_KEPT]?: boolean }

/**
 * This stays as long as the muxer
 */
export function watchLosses (muxer: ClosableMuxer): void {
  if (watched.has(muxer)) {
    return
  }

  watched.add(muxer)

  if (typeof muxer.onTransportClosed === 'function') {
    const { original } = override<Pick<ClosableMuxer, 'onTransportClosed'>>(muxer, {
      onTransportClosed: err => {
        for (const stream of muxer.streams as WatchedStream[]) {
          if (stream.remoteWriteStatus !== 'closed') {
            stream[IS_KEPT] = false
          }
        }

        original.onTransportClosed?.call(muxer, err)
      }
    })
  }
}

/**
 * A stream of a muxer whose losses are watched
 */
export function watchLoss (stream: WatchedStream): void {
  if (!hasEnded(stream)) {
    stream[IS_KEPT] = true
  }
}

/**
 * Whether the peer has certainly ended the stream, of which neither end has aborted it
 */
export function hasPeerEnded (stream: WatchedStream): boolean {
  return stream.remoteWriteStatus === 'closed' && (stream.status !== 'closed' || stream[IS_KEPT] === true)
}
