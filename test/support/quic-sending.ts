/**
 * What is sent to a QUIC stream that may not be read
 */
import { sendBulk } from '../../src/index.ts'
import { bytesOf, digestOf, untilSteady } from './bulk-data.ts'
import { until } from './wait.ts'
import type { Digest } from './bulk-data.ts'
import type { Stream } from '@libp2p/interface'

export const KIB = 1024
export const MIB = 1024 * KIB

/**
 * The window of quinn, what upstream gives a stream by default
 */
const MAX_STREAM_DATA = 10_000_000

const CHUNK = 64 * KIB

/**
 * What the sender has given away, and the receiver has not read, at most: the window,
 * a chunk that does not fit in, and the one behind it
 */
export const MAX_IN_FLIGHT = MAX_STREAM_DATA + 4 * CHUNK

export class Sending {
  sent = 0
  readonly done: Promise<unknown>
  readonly #length: number
  #isOver = false

  constructor (stream: Stream, length: number) {
    this.#length = length
    this.done = sendBulk(stream, this.#source())
    this.done.catch(() => {}).finally(() => { this.#isOver = true })
  }

  async * #source (): AsyncGenerator<Uint8Array> {
    for (const chunk of bytesOf(this.#length, CHUNK)) {
      yield chunk
      this.sent += chunk.byteLength
    }
  }

  /**
   * Until the peer, who has read so much, takes no more. quinn does not tell of the
   * last eighth of its window.
   */
  async untilHeld (read = 0): Promise<number> {
    const least = Math.min(this.#length, read + MAX_STREAM_DATA * 7 / 8) - 2 * CHUNK
    await until(() => this.#isOver || this.sent >= least)

    return untilSteady(() => this.sent)
  }
}

async function * chunksOf (stream: Stream): AsyncGenerator<Uint8Array> {
  for await (const chunk of stream) {
    yield chunk.subarray()
  }
}

export async function digestOfStream (stream: Stream): Promise<Digest> {
  return digestOf(chunksOf(stream))
}

/**
 * Somebody listens, so the stream is read unless it is paused
 */
export function listen (stream: Stream): { received: number } {
  const seen = { received: 0 }
  stream.addEventListener('message', ({ data }) => { seen.received += data.byteLength })

  return seen
}
