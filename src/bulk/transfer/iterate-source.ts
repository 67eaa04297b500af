import { InvalidParametersError } from '@libp2p/interface'
import { isUint8ArrayList } from 'uint8arraylist'
import type { Uint8ArrayList } from 'uint8arraylist'

/**
 * Bytes, in one piece of memory or in several
 */
export type BulkChunk = Uint8Array | Uint8ArrayList

/**
 * Whatever chunks can be got from, one after the other: generators, arrays, file
 * streams and other readable streams of Node.js, Web streams, what it-pipe passes on
 */
export type BulkSource = AsyncIterable<BulkChunk> | Iterable<BulkChunk> | ReadableStream<Uint8Array>

/**
 * What an iterator of either kind does
 */
export interface SourceIterator {
  next(): IteratorResult<unknown> | Promise<IteratorResult<unknown>>
  return?(): unknown
}

/**
 * The source yields what nobody can send
 */
export class InvalidChunkError extends InvalidParametersError {}

/**
 * One that cannot be iterated over now, as a Web stream that somebody else reads, fails
 * with the first chunk
 */
export function iterateSource (source: BulkSource): SourceIterator {
  if (source instanceof Uint8Array) {
    throw new InvalidParametersError('The source must be an iterable of chunks, but it is a Uint8Array - put it into an array')
  }

  if (Object(source) === source) {
    const { [Symbol.asyncIterator]: asyncIterator, [Symbol.iterator]: iterator, getReader } = source as Partial<AsyncIterable<BulkChunk> & Iterable<BulkChunk> & ReadableStream<Uint8Array>>

    if (typeof asyncIterator === 'function') {
      return unlessThrown(() => asyncIterator.call(source))
    }

    if (typeof iterator === 'function') {
      return unlessThrown(() => iterator.call(source))
    }

    if (typeof getReader === 'function') {
      return unlessThrown(() => iterateWebStream(source as ReadableStream<Uint8Array>))
    }
  }

  throw new InvalidParametersError('The source must be an iterable, an async iterable or a ReadableStream of Uint8Arrays')
}

/**
 * The pieces of memory that a chunk consists of
 */
export function piecesOf (chunk: unknown): Iterable<Uint8Array> {
  if (chunk instanceof Uint8Array) {
    return [chunk]
  }

  if (isUint8ArrayList(chunk)) {
    return chunk
  }

  throw new InvalidChunkError(`The source must yield Uint8Arrays or Uint8ArrayLists, but it yielded ${chunk === null ? 'null' : `a value of type ${typeof chunk}`}`)
}

function unlessThrown (iterate: () => SourceIterator): SourceIterator {
  try {
    return iterate()
  } catch (err) {
    return { next: () => { throw err } }
  }
}

/**
 * Not every browser can iterate over a ReadableStream
 */
function iterateWebStream (stream: ReadableStream<Uint8Array>): SourceIterator {
  const reader = stream.getReader()

  return {
    next: async () => {
      const { done, value } = await reader.read()

      return done ? { done, value: undefined } : { done, value }
    },
    return: async () => reader.cancel()
  }
}
