import { onceClosed } from '../../util/streams.ts'
import { override } from '../../util/override.ts'
import type { Override } from '../../util/override.ts'
import type { BulkSessionStream } from '../types.ts'
import type { Stream } from '@libp2p/interface'

export interface ByteCount {
  sent: number
  received: number
}

type Counted = Pick<Stream, 'send' | 'push' | 'unshift' | 'dispatchEvent'>

/**
 * Counts the bytes of a stream where the application writes and reads them. So the
 * handshake, which is sent and taken out further down, is not counted, and no
 * listener is needed, which would make the stream flow.
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

    const counted: Override<Counted> = override<Counted>(stream, {
      send: data => {
        // it may be a list that is emptied
        const { byteLength } = data
        const result = counted.original.send.call(stream, data)
        this.#add('sent', byteLength)

        return result
      },
      dispatchEvent: event => {
        if (event.type === 'message') {
          this.#add('received', (event as MessageEvent<Uint8Array>).data.byteLength)
        }

        return counted.original.dispatchEvent.call(stream, event)
      },

      // what is given back is read once more
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

  get bytesSent (): number {
    return this.#own.sent
  }

  get bytesReceived (): number {
    return this.#own.received
  }

  #add (direction: keyof ByteCount, bytes: number): void {
    this.#own[direction] += bytes
    this.#total[direction] += bytes
  }
}
