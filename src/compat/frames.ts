/**
 * What upstream does: a stream does not say whether what is written at once leaves in
 * frames, as over yamux, or is copied into one piece, as over QUIC. That yamux has frames
 * shows in `maxMessageSize`, which @libp2p/interface does not name (@libp2p/utils 7,
 * src/abstract-message-stream.ts, set by @libp2p/yamux 8, src/stream.ts).
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/utils/src/abstract-message-stream.ts,
 * test/interop/upstream/js-libp2p-hidden.md
 *
 * How it is detected: the field has a value.
 *
 * Without it: bulk data is written one chunk at a time, as over QUIC, which is slower.
 *
 * Until: a stream says how much it takes at once.
 */
import type { Stream } from '@libp2p/interface'

export function hasFrames (stream: Stream): boolean {
  return (stream as { maxMessageSize?: number }).maxMessageSize != null
}
