/**
 * What `connection.newStream` does, on the connection's muxer and with the
 * negotiation left to the caller
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection.ts
 */
import { ConnectionClosedError, TooManyOutboundProtocolStreamsError } from '@libp2p/interface'
import { CustomProgressEvent } from 'progress-events'
import { raceSignal } from 'race-signal'
import { DEFAULT_MAX_OUTBOUND_STREAMS } from './constants.ts'
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
   * Called with a new stream that the muxer has not negotiated by itself
   */
  negotiate(stream: Stream): Promise<void> | void
}

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

export async function openOutboundStream (components: OutboundStreamComponents, init: OutboundStreamInit): Promise<Stream> {
  const { connection, protocol, options } = init

  options.onProgress?.(new CustomProgressEvent<OpenStreamEvent>('connection:open-stream', {
    connection,
    protocols: [protocol]
  }))

  const muxedStream = await createStream(init)

  try {
    const negotiated = muxedStream.protocol !== ''

    if (!negotiated) {
      muxedStream.protocol = protocol
    }

    checkOutboundLimit(muxedStream, connection, components.registrar, options)

    if (!negotiated) {
      await init.negotiate(muxedStream)
    }

    components.metrics?.trackProtocolStream(muxedStream)

    const stream = await raceSignal(runMiddleware(muxedStream, connection, components.registrar), options.signal)

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

async function createStream ({ connection, muxer, protocol, options }: OutboundStreamInit): Promise<Stream> {
  try {
    return await abortable(muxer.createStream({ ...options, protocol }), options.signal)
  } catch (err: any) {
    if (options.signal?.aborted === true || err.name === 'TooManyOutboundProtocolStreamsError') {
      throw err
    }

    // nothing else keeps a muxer from creating a stream, QUIC's has errors of its
    // own for it
    throw new ConnectionClosedError(`Connection ${connection.id} was closed before a stream of ${protocol} could be created on it - ${err.message}`)
  }
}

function findOutboundLimit (protocol: string, registrar: Registrar, options: NewStreamOptions): number {
  // without a handler getHandler would throw, and the stack of that error costs
  // some 20us of CPU in every open
  const handler = registrar.getProtocols().includes(protocol) ? registrar.getHandler(protocol) : undefined

  return handler?.options.maxOutboundStreams ?? options.maxOutboundStreams ?? DEFAULT_MAX_OUTBOUND_STREAMS
}

function checkOutboundLimit (stream: Stream, connection: Connection, registrar: Registrar, options: NewStreamOptions): void {
  const limit = findOutboundLimit(stream.protocol, registrar, options)
  let count = 0

  for (const { direction, protocol } of connection.streams) {
    if (direction === 'outbound' && protocol === stream.protocol) {
      count++
    }
  }

  if (count > limit) {
    throw new TooManyOutboundProtocolStreamsError(`Too many outbound protocol streams for protocol "${stream.protocol}" - ${count}/${limit}`)
  }
}

async function runMiddleware (stream: Stream, connection: Connection, registrar: Registrar): Promise<Stream> {
  for (const middleware of registrar.getMiddleware(stream.protocol)) {
    ({ stream, connection } = await runOne(middleware, stream, connection))
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
