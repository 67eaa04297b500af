/**
 * What `connection.newStream` does, on the connection's muxer and with the
 * negotiation left to the caller
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection.ts
 */
import { ConnectionClosedError } from '@libp2p/interface'
import { CustomProgressEvent } from 'progress-events'
import { raceSignal } from 'race-signal'
import { abortable, onceClosed } from './util/streams.ts'
import type { Connection, Metrics, NewStreamOptions, OpenedStreamEvent, OpenStreamEvent, Stream, StreamMiddleware, StreamMuxer } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'

export interface OutboundStreamComponents {
  registrar: Registrar
  metrics?: Metrics
}

export interface OutboundStreamInit {
  connection: Connection
  muxer: StreamMuxer
  protocol: string
  options: NewStreamOptions

  /**
   * Called when the muxer is asked for the stream - returns a function to be called
   * when it is closed, or if there was none
   */
  bind(): () => void

  /**
   * Called with a new stream that the muxer has not negotiated by itself - returns
   * a promise where it has to be waited for
   */
  negotiate(stream: Stream): Promise<void> | undefined
}

/**
 * Errors of connections that have no stream to give, so nothing was written
 */
const BEFORE_FIRST_BYTE = ['ConnectionClosedError', 'MuxerClosedError']

/**
 * Whether no stream could be opened because the connection was lost. Nobody has
 * got the stream, so it can be opened on another one.
 */
export function isBeforeFirstByte (err: Error): boolean {
  return BEFORE_FIRST_BYTE.includes(err.name)
}

export async function openOutboundStream (components: OutboundStreamComponents, init: OutboundStreamInit): Promise<Stream> {
  const { connection, protocol, options } = init

  options.onProgress?.(new CustomProgressEvent<OpenStreamEvent>('connection:open-stream', {
    connection,
    protocols: [protocol]
  }))

  const muxedStream = await createStream(init)

  try {
    if (muxedStream.protocol === '') {
      muxedStream.protocol = protocol
      const negotiating = init.negotiate(muxedStream)

      if (negotiating != null) {
        await negotiating
      }
    }

    components.metrics?.trackProtocolStream(muxedStream)

    // the stream may have been there before the signal was
    options.signal?.throwIfAborted()

    const middleware = components.registrar.getMiddleware(muxedStream.protocol)
    const stream = middleware.length === 0 ? muxedStream : await raceSignal(runMiddleware(middleware, muxedStream, connection), options.signal)

    options.onProgress?.(new CustomProgressEvent<OpenedStreamEvent>('connection:opened-stream', {
      connection,
      stream
    }))

    return stream
  } catch (err: any) {
    muxedStream.abort(err)

    throw err
  }
}

async function createStream ({ connection, muxer, protocol, options, bind }: OutboundStreamInit): Promise<Stream> {
  const onClosed = bind()
  let creating: Promise<Stream>

  try {
    creating = muxer.createStream({ ...options, protocol })
  } catch (err) {
    creating = Promise.reject(err)
  }

  // also where nobody waits for it any more
  creating.then(stream => { onceClosed(stream, onClosed) }, onClosed)

  try {
    return await (options.signal == null ? creating : abortable(creating, options.signal))
  } catch (err: any) {
    if (options.signal?.aborted === true || err.name === 'TooManyOutboundProtocolStreamsError') {
      throw err
    }

    // nothing else keeps a muxer from creating a stream, QUIC's has errors of its
    // own for it
    throw new ConnectionClosedError(`Connection ${connection.id} was closed before a stream of ${protocol} could be created on it - ${err.message}`)
  }
}

async function runMiddleware (middleware: StreamMiddleware[], stream: Stream, connection: Connection): Promise<Stream> {
  for (const one of middleware) {
    ({ stream, connection } = await runOne(one, stream, connection))
  }

  return stream
}

async function runOne (middleware: StreamMiddleware, stream: Stream, connection: Connection): Promise<{ stream: Stream, connection: Connection }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ stream: Stream, connection: Connection }>()

  Promise.resolve(middleware(stream, connection, (stream, connection) => {
    resolve({ stream, connection })
  })).catch(reject)

  return promise
}
