/**
 * What Lodestar does with streams, as its `@lodestar/reqresp` is only on the registry for
 * libp2p 0.41. Re-made from packages/reqresp/src of ChainSafe/lodestar, with the streams
 * of libp2p 3: what is in the messages is left out.
 *
 * A request is one write and the end. The answer is any number of chunks, each a result
 * byte, its length, and data, and the end. Nobody waits for the answer to a goodbye.
 */
import { TimeoutError } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'
import type { Libp2p, PeerId, Stream } from '@libp2p/interface'

const DIAL_TIMEOUT = 5_000
const REQUEST_TIMEOUT = 5_000
const RESP_TIMEOUT = 10_000

const SUCCESS = 0
const SERVER_ERROR = 2

/**
 * The newest version first, as Lodestar asks for them
 */
export function protocolIds (method: string, versions: number[]): string[] {
  return versions.map(version => `/eth2/beacon_chain/req/${method}/${version}/ssz_snappy`)
}

export type Answerer = (request: Uint8Array, peer: PeerId, protocol: string) => AsyncIterable<Uint8Array>

async function withTimeout <T> (name: string, ms: number, fn: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  let timer: ReturnType<typeof setTimeout> | undefined

  try {
    return await Promise.race([
      fn(controller.signal),
      new Promise<never>((resolve, reject) => {
        timer = setTimeout(() => { reject(new TimeoutError(name)) }, ms)
      })
    ])
  } catch (err) {
    controller.abort(err)
    throw err
  } finally {
    clearTimeout(timer)
  }
}

function encodeChunk (result: number, data: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(5 + data.byteLength)
  const view = new DataView(chunk.buffer)
  view.setUint8(0, result)
  view.setUint32(1, data.byteLength)
  chunk.set(data, 5)

  return chunk
}

async function readRequest (stream: Stream): Promise<Uint8Array> {
  const request = new Uint8ArrayList()

  for await (const chunk of stream) {
    request.append(chunk)
  }

  return request.subarray()
}

/**
 * Yields chunks as they are complete, and aborts the stream where the next byte takes
 * too long
 */
async function * readChunks (stream: Stream, ttfbTimeout: number): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8ArrayList()
  let timer = setTimeout(() => { stream.abort(new TimeoutError('TTFB_TIMEOUT')) }, ttfbTimeout)

  try {
    for await (const data of stream) {
      clearTimeout(timer)
      timer = setTimeout(() => { stream.abort(new TimeoutError('RESP_TIMEOUT')) }, RESP_TIMEOUT)
      buffer.append(data)

      while (buffer.byteLength >= 5 && buffer.byteLength >= 5 + buffer.getUint32(1)) {
        const end = 5 + buffer.getUint32(1)
        const result = buffer.get(0)
        const body = buffer.slice(5, end)
        buffer.consume(end)

        if (result !== SUCCESS) {
          throw new Error(`RESPONSE_ERROR ${new TextDecoder().decode(body)}`)
        }

        yield body
      }
    }

    if (buffer.byteLength > 0) {
      throw new Error('UNDER_SSZ_MIN_SIZE')
    }
  } finally {
    clearTimeout(timer)
  }
}

export async function handle (node: Libp2p<any>, ids: string[], answer: Answerer): Promise<void> {
  await node.handle(ids, (stream, connection) => {
    respond(stream, connection.remotePeer, answer).catch(err => { stream.abort(err) })
  }, { maxInboundStreams: 256, maxOutboundStreams: 256 })
}

async function respond (stream: Stream, peer: PeerId, answer: Answerer): Promise<void> {
  try {
    const request = await withTimeout('REQUEST_TIMEOUT', REQUEST_TIMEOUT, async () => readRequest(stream))

    for await (const body of answer(request, peer, stream.protocol)) {
      await write(stream, encodeChunk(SUCCESS, body))
    }
  } catch (err: any) {
    await write(stream, encodeChunk(SERVER_ERROR, new TextEncoder().encode(err.message)))
  }

  await stream.close()
}

async function write (stream: Stream, data: Uint8Array): Promise<void> {
  if (!stream.send(data)) {
    await stream.onDrain()
  }
}

/**
 * Yields the protocol that was selected, and then the chunks, of which no more than so
 * many are wanted
 */
export async function * sendRequest (node: Libp2p<any>, peer: PeerId, ids: string[], request: Uint8Array, { maxChunks = Infinity, ttfbTimeout = 5_000, ignoresResponse = false } = {}): AsyncGenerator<string | Uint8Array> {
  const stream = await withTimeout('DIAL_TIMEOUT', DIAL_TIMEOUT, async signal => node.dialProtocol(peer, ids, { signal }))

  if (!ids.includes(stream.protocol)) {
    throw new Error(`dialProtocol selected unknown protocolId ${stream.protocol}`)
  }

  yield stream.protocol

  try {
    await withTimeout('REQUEST_TIMEOUT', REQUEST_TIMEOUT, async () => {
      await write(stream, request)
      await stream.close()
    })
  } catch (err: any) {
    stream.abort(err)
    throw err
  }

  if (ignoresResponse) {
    return
  }

  let chunks = 0

  try {
    for await (const chunk of readChunks(stream, ttfbTimeout)) {
      yield chunk

      if (++chunks === maxChunks) {
        break
      }
    }
  } finally {
    // it may have had enough before the end
    await stream.closeRead().catch(() => {})
  }
}
