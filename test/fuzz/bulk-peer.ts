import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { pattern } from '../support/streams.ts'
import { encodeBoth } from './reference.ts'
import type { RawStream } from './raw-listener.ts'
import type { Stream } from '@libp2p/interface'

/**
 * A good peer echoes the handshake, reads all, and sends what it is to send. All
 * others do so until they do something else.
 */
export type BulkPeer = 'good' | 'without echo' | 'with garbage for an echo' | 'reset' | 'reset in the middle' | 'end in the middle' | 'stalled' | 'deaf' | 'slow'

export const bulkPeer = fc.constantFrom<BulkPeer[]>('good', 'good', 'good', 'good', 'without echo', 'with garbage for an echo', 'reset', 'reset in the middle', 'end in the middle', 'stalled', 'deaf', 'slow')

/**
 * Whether it may keep a transfer waiting for ever
 */
export function mayWait (peer: BulkPeer): boolean {
  return ['without echo', 'stalled', 'deaf', 'slow'].includes(peer)
}

export class PlayedBulkPeer {
  readonly received = new Uint8ArrayList()
  readonly sent = new Uint8ArrayList()
  receivedFin = false

  /**
   * Whether it has sent all, and the end
   */
  hasSentAll = false
  stream?: Stream

  async play ({ stream }: RawStream, protocol: string, peer: BulkPeer, lengths: number[]): Promise<void> {
    this.stream = stream

    if (peer === 'without echo') {
      return
    }

    stream.send(peer === 'with garbage for an echo' ? pattern(500) : encodeBoth(protocol))

    if (peer === 'with garbage for an echo') {
      return
    }

    if (peer === 'reset') {
      stream.abort(new Error('The peer has had enough'))

      return
    }

    this.#read(stream, peer)
    await this.#send(stream, peer, lengths)
  }

  #read (stream: Stream, peer: BulkPeer): void {
    if (peer !== 'deaf') {
      stream.addEventListener('message', ({ data }) => {
        this.received.append(data)

        if (peer === 'reset in the middle' && this.received.byteLength > 2_000) {
          stream.abort(new Error('The peer has had enough'))
        } else if (peer === 'slow' && stream.readStatus === 'readable') {
          stream.pause()
          delay(5).then(() => { stream.resume() }).catch(() => {})
        }
      })
    }

    stream.addEventListener('remoteCloseWrite', () => { this.receivedFin = true })
    this.receivedFin = stream.remoteWriteStatus === 'closed'
  }

  async #send (stream: Stream, peer: BulkPeer, lengths: number[]): Promise<void> {
    for (const [i, length] of lengths.entries()) {
      if (i === lengths.length >> 1) {
        if (peer === 'reset in the middle') {
          stream.abort(new Error('The peer has had enough'))

          return
        }

        if (peer === 'stalled') {
          return
        }

        if (peer === 'end in the middle') {
          break
        }
      }

      const data = pattern(length)

      this.sent.append(data)

      if (!stream.send(data)) {
        await stream.onDrain()
      }
    }

    if (peer !== 'stalled') {
      this.hasSentAll = true
      await stream.close()
    }
  }
}
