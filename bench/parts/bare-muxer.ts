import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'
import type { Connection, Stream, StreamMuxer } from '@libp2p/interface'
import type { AbstractStream } from '@libp2p/utils'

const HANDSHAKE = fromString('\x13/multistream/1.0.0\n\x0c/echo/1.0.0\n')

type MuxedStream = Stream & Pick<AbstractStream, 'onData'>

/**
 * Opens streams of the echo protocol on the muxer itself, with the least that makes
 * them work: the handshake goes out with the first write, and as many bytes as the
 * listener answers it with are thrown away. Nothing is checked, limited, counted or
 * cleaned up, so a service can only come close to what this costs.
 */
export function bareMuxer (connection: Connection): () => Promise<Stream> {
  const { muxer } = connection as unknown as { muxer: StreamMuxer }

  return async () => {
    const stream = await muxer.createStream() as MuxedStream
    const hooks: Partial<MuxedStream> = stream
    let missing = HANDSHAKE.byteLength

    hooks.onData = data => {
      const rest = data.subarray(Math.min(missing, data.byteLength))
      missing -= data.byteLength - rest.byteLength

      if (missing === 0) {
        delete hooks.onData
        stream.onData(rest)
      }
    }

    hooks.send = data => {
      delete hooks.send

      // one chunk costs less further down than a list does
      return stream.send(concat([HANDSHAKE, data.subarray()]))
    }

    return stream
  }
}
