/**
 * What upstream does: yamux announces a new stream in a microtask. If the connection is
 * lost before that, it throws where nobody can catch it, and ends the process
 * (@libp2p/yamux 8, src/muxer.ts, `onCreateStream`).
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/stream-multiplexer-yamux/src/muxer.ts,
 * test/interop/upstream/js-libp2p-yamux-uncaught.md
 *
 * How it is detected: it is not, a microtask costs nothing.
 *
 * Without it: a program that opens a stream and loses the connection in the same turn
 * ends, as with stock.
 *
 * Until: `onCreateStream` looks at the state of the stream in the microtask.
 */

/**
 * The value, or what it resolves to, when a connection that is lost in this turn of the
 * caller shows that it is
 */
export async function onceLossShows <T> (value: T | Promise<T>): Promise<T> {
  return value
}
