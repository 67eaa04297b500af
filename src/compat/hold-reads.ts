/**
 * What upstream does: `stream.pause()` does not keep a peer from sending more than is
 * read, with any muxer. What it does instead is in yamux-reads.ts, quic/native-reads.ts
 * and paused-reads.ts. And what arrives while a stream is paused waits in the stream, one
 * object for every byte if the peer wants it.
 *
 * So here it is what makes the peer wait that is held: the window updates of yamux, the
 * reads of QUIC, behind which quinn has a window of its own, and what other streams do to
 * tell the peer that they are paused. The rest still arrives.
 *
 * Where: test/interop/upstream/js-libp2p-pause.md
 *
 * How it is detected: by the methods of the stream, each in its file.
 *
 * Without it: the peer is not made to wait, and the stream is aborted when the reader is
 * too far behind, see paused-reads.ts.
 *
 * Until: the last of the three has gone.
 */
import { PausedReads } from './paused-reads.ts'
import { HeldByPause, heldByPause } from './quic/held-by-pause.ts'
import { isStockStream, StockReads } from './quic/stock-reads.ts'
import { isYamuxStream, YamuxReads } from './yamux-reads.ts'
import type { ReadHold, ReadHoldInit } from './paused-reads.ts'
import type { Stream } from '@libp2p/interface'

export function holdReads (stream: Stream, init: ReadHoldInit): ReadHold {
  if (isYamuxStream(stream)) {
    return new YamuxReads(stream, init)
  }

  if (heldByPause.has(stream)) {
    return new HeldByPause(stream)
  }

  return isStockStream(stream) ? new StockReads(stream, init) : new PausedReads(stream)
}
