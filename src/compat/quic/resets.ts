/**
 * What upstream does: a QUIC stream that was reset by the peer, or whose connection is
 * lost, says that it has come to its end. Its reads fail with the code `Unknown`, which
 * `readFromStream` takes for a stream that was closed (@chainsafe/libp2p-quic 2,
 * src/stream.ts).
 *
 * Where: https://github.com/ChainSafe/js-libp2p-quic/blob/main/src/stream.ts,
 * test/interop/upstream/js-libp2p-quic-reset.md
 *
 * How it is detected: by the error that the stream writes to its log, and nowhere else.
 *
 * Without it: what was cut off would be taken for all of it.
 *
 * Until: a read that fails resets the stream.
 */
import { override } from '../../util/override.ts'
import type { Override } from '../../util/override.ts'
import type { Logger, Stream } from '@libp2p/interface'

type Logs = Pick<Stream, 'log'>

/**
 * Calls the function when reading has failed
 */
export function onReadError (stream: Stream, onError: (err: Error) => void): Override<Logs> {
  return override<Logs>(stream, { log: spyOnErrors(stream.log, onError) })
}

function spyOnErrors (log: Logger, onError: (err: Error) => void): Logger {
  return Object.assign((formatter: any, ...args: any[]) => { log(formatter, ...args) }, log, {
    trace: (formatter: any, ...args: any[]) => {
      if (args[0] instanceof Error) {
        onError(args[0])
      }

      log.trace(formatter, ...args)
    }
  })
}
