import { Uint8ArrayList } from 'uint8arraylist'
import type { Stream, StreamMessageEvent } from '@libp2p/interface'

export type ReaderStyle = 'for await' | 'events'

/**
 * Reads a stream from when it is made
 */
export class Reader {
  readonly read = new Uint8ArrayList()

  /**
   * Whether it was told the end, once it was, and not an error before that
   */
  hasEnded = false

  /**
   * What it failed with instead
   */
  error?: unknown

  constructor (stream: Stream, style: ReaderStyle) {
    if (style === 'for await') {
      void this.#iterate(stream)

      return
    }

    stream.addEventListener('message', this.#onMessage)
    stream.addEventListener('remoteCloseWrite', () => { this.hasEnded = this.error == null })
    stream.addEventListener('close', ({ error }) => { this.error = error })
  }

  get isOver (): boolean {
    return this.hasEnded || this.error != null
  }

  readonly #onMessage = ({ data }: StreamMessageEvent): void => {
    this.read.append(data)
  }

  async #iterate (stream: Stream): Promise<void> {
    try {
      for await (const chunk of stream) {
        this.read.append(chunk)
      }

      this.hasEnded = true
    } catch (err) {
      this.error = err
    }
  }
}
