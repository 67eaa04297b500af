import { onceClosed } from '../../util/streams.ts'
import { override } from '../../util/override.ts'
import type { Override } from '../../util/override.ts'
import type { BulkSessionStream } from '../types.ts'
import type { Stream } from '@libp2p/interface'

export interface ByteCount {
  sent: number
  received: number
}

type Counted = Pick<Stream, 'send' | 'push' | 'unshift'>

/**
 * Counts the bytes of a stream where the application writes and reads them. So the
 * handshake, which is sent and taken out further down, is not counted.
 */
export class CountedStream implements BulkSessionStream {
  readonly stream: Stream
  readonly #own: ByteCount = { sent: 0, received: 0 }
  readonly #total: ByteCount

  /**
   * The bytes are added to the total as well
   */
  constructor (stream: Stream, total: ByteCount) {
    this.stream = stream
    this.#total = total
    this.#listen()
    this.#replace()
  }

  get bytesSent (): number {
    return this.#own.sent
  }

  get bytesReceived (): number {
    return this.#own.received
  }

  /**
   * Past the method of the stream: that takes whoever listens for a reader, and the
   * stream would flow. What a middleware has made of it need not be an EventTarget.
   */
  #listen (): void {
    if (this.stream instanceof EventTarget) {
      EventTarget.prototype.addEventListener.call(this.stream, 'message', evt => {
        this.#add('received', (evt as MessageEvent<Uint8Array>).data.byteLength)
      })
    }
  }

  /**
   * There is no event for what is written, nor for what is given back and is going to
   * be read once more
   */
  #replace (): void {
    const { stream } = this

    const counted: Override<Counted> = override<Counted>(stream, {
      send: data => {
        // it may be a list that is emptied
        const { byteLength } = data
        const result = counted.original.send.call(stream, data)
        this.#add('sent', byteLength)

        return result
      },
      push: data => {
        const { byteLength } = data
        counted.original.push.call(stream, data)
        this.#add('received', -byteLength)
      },
      unshift: data => {
        const { byteLength } = data
        counted.original.unshift.call(stream, data)
        this.#add('received', -byteLength)
      }
    })

    onceClosed(stream, () => {
      if (stream.readBufferLength === 0) {
        counted.restore()
      } else {
        // there is something left to read
        stream.addEventListener('end', () => { counted.restore() }, { once: true })
      }
    })
  }

  #add (direction: keyof ByteCount, bytes: number): void {
    this.#own[direction] += bytes
    this.#total[direction] += bytes
  }
}
