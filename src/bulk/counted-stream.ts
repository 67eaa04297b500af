import { onceClosed } from '../outbound-stream.ts'
import { override } from '../override.ts'
import type { Override } from '../override.ts'
import type { BulkSessionStream } from './index.ts'
import type { Stream } from '@libp2p/interface'

type Counted = Pick<Stream, 'send' | 'push' | 'unshift' | 'dispatchEvent'>

/**
 * Counts the bytes of a stream where the application writes and reads them. So the
 * handshake, which is sent and taken out further down, is not counted, and no
 * listener is needed, which would make the stream flow.
 */
export class CountedStream implements BulkSessionStream {
  readonly stream: Stream
  #sent = 0
  #received = 0

  constructor (stream: Stream) {
    this.stream = stream

    const counted: Override<Counted> = override<Counted>(stream, {
      send: data => {
        // it may be a list that is emptied
        const { byteLength } = data
        const result = counted.original.send.call(stream, data)
        this.#sent += byteLength

        return result
      },
      dispatchEvent: event => {
        if (event.type === 'message') {
          this.#received += (event as MessageEvent<Uint8Array>).data.byteLength
        }

        return counted.original.dispatchEvent.call(stream, event)
      },

      // what is given back is read once more
      push: data => {
        counted.original.push.call(stream, data)
        this.#received -= data.byteLength
      },
      unshift: data => {
        counted.original.unshift.call(stream, data)
        this.#received -= data.byteLength
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
    return this.#sent
  }

  get bytesReceived (): number {
    return this.#received
  }
}
