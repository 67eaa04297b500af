import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { pattern } from '../support/streams.ts'
import { record } from './record.ts'
import { turn } from '../support/wait.ts'
import type { BulkChunk } from '../../src/index.ts'

export interface Source {
  /**
   * What it does in the place of a chunk, or at its end
   */
  is: 'good' | 'array' | 'throwing' | 'junk' | 'stuck' | 'endless' | 'without next' | 'with a return that throws' | 'with a return that hangs'

  /**
   * The lengths of its chunks
   */
  chunks: number[]
  at: number
  lists: boolean
  turns: boolean
}

export const source: fc.Arbitrary<Source> = record<Source>({
  is: fc.constantFrom('good', 'good', 'good', 'array', 'throwing', 'junk', 'stuck', 'endless', 'without next', 'with a return that throws', 'with a return that hangs'),
  chunks: fc.array(fc.constantFrom(0, 1, 10, 1_000, 16_383, 16_384, 65_536, 65_537, 300_000), { maxLength: 25, size: 'max' }),
  at: fc.nat(25),
  lists: fc.boolean(),
  turns: fc.boolean()
})

export class SourceError extends Error {
  override readonly name = 'SourceError'
}

const JUNK: unknown[] = [null, undefined, 'text', 5, {}, [], new ArrayBuffer(4), { byteLength: 5 }]

/**
 * Yields, and keeps what it has yielded
 */
export class PlayedSource {
  readonly yielded = new Uint8ArrayList()

  /**
   * Whether it has come to its end by itself
   */
  isComplete = false

  /**
   * Whether it was told to stop, or has come to its end
   */
  hasReturned = false
  readonly #source: Source

  constructor (source: Source) {
    this.#source = source
  }

  iterable (): any {
    const { is, chunks } = this.#source

    if (is === 'array') {
      this.isComplete = this.hasReturned = true

      return chunks.map(length => this.#yield(length))
    }

    if (is === 'without next') {
      return { [Symbol.asyncIterator]: () => ({}) }
    }

    return is === 'with a return that throws' || is === 'with a return that hangs' ? this.#withReturn(is) : this.#iterate()
  }

  #yield (length: number): BulkChunk {
    const chunk = pattern(length)

    this.yielded.append(chunk)

    return this.#source.lists ? new Uint8ArrayList(chunk.subarray(0, length >> 1), chunk.subarray(length >> 1)) : chunk
  }

  async * #iterate (): AsyncGenerator<any> {
    const { is, chunks, at, turns } = this.#source
    const count = is === 'endless' ? Infinity : chunks.length

    try {
      for (let i = 0; i < count; i++) {
        if (turns || count === Infinity) {
          await turn()
        }

        if (i === at && is === 'throwing') {
          throw new SourceError('The source has failed')
        }

        if (i === at && is === 'junk') {
          yield JUNK[chunks.length % JUNK.length]
        }

        if (i === at && is === 'stuck') {
          await delay(100)
        }

        yield this.#yield(chunks[i] ?? 1_000)
      }

      this.isComplete = true
    } finally {
      this.hasReturned = true
    }
  }

  #withReturn (is: string): AsyncIterable<BulkChunk> {
    const { chunks, at } = this.#source
    let i = 0

    return {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          const length = chunks[i++]

          if (i > at) {
            throw new SourceError('The source has failed')
          }

          if (length == null) {
            this.isComplete = true

            return { done: true, value: undefined }
          }

          return { done: false, value: this.#yield(length) }
        },
        return: async () => {
          if (is === 'with a return that throws') {
            throw new Error('It cannot be stopped')
          }

          return new Promise(() => {})
        }
      })
    }
  }
}
