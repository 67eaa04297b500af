/**
 * What upstream does: `pause()` is not passed on. The stream goes on reading, and aborts
 * itself when 4 MiB are waiting (@chainsafe/libp2p-quic 2, src/stream.ts).
 *
 * Where: https://github.com/ChainSafe/js-libp2p-quic/blob/main/src/stream.ts,
 * test/interop/upstream/js-libp2p-pause.md
 *
 * How it is detected: the stream has a method `readFromStream`, the loop that reads. It
 * ends when a read fails with the code `Unknown`, and can be called again. It then fails
 * again if the connection is lost. But quinn says only once that a stream was reset, so one
 * that had been before anybody listened seems to have ended.
 *
 * Where it is used: on streams that quic-streams.ts did not get hold of.
 *
 * Without it: ../paused-reads.ts, which aborts the stream of a slow reader.
 *
 * Until: nothing is read while a stream is paused.
 */
import { override } from '../../util/override.ts'
import { canReceive } from '../../util/streams.ts'
import { onReadError } from './resets.ts'
import type { ReadHold, ReadHoldInit } from '../paused-reads.ts'
import type { Override } from '../../util/override.ts'
import type { Stream } from '@libp2p/interface'

type QuicStream = Stream & { readFromStream(): Promise<void>, onData(data: unknown): void, onRemoteCloseWrite(): void }
type Reads = Pick<QuicStream, 'onData' | 'onRemoteCloseWrite'>

export function isStockStream (stream: Stream): stream is QuicStream {
  return typeof (stream as Partial<QuicStream>).readFromStream === 'function'
}

/**
 * What ends the loop
 */
const PARK = Object.assign(new Error('Reading is held'), { code: 'Unknown' })

export class StockReads implements ReadHold {
  #isHeld = false
  #isParking = false
  #isParked = false
  #reads?: Override<Reads>
  readonly #stream: QuicStream
  readonly #errors: Pick<Override<unknown>, 'restore'>

  constructor (stream: QuicStream, { onError }: ReadHoldInit) {
    this.#stream = stream
    this.#errors = onReadError(stream, err => {
      if (err !== PARK) {
        onError(err)
      }
    })
  }

  hold (): void {
    this.#isHeld = true

    // not before there was data: until then the methods may be those of a
    // negotiation, which puts back what it found
    this.#reads ??= this.#override()
  }

  release (): void {
    this.#isHeld = false

    if (this.#isParked) {
      this.#isParked = false

      if (canReceive(this.#stream)) {
        void this.#stream.readFromStream()
      }
    }
  }

  async verifyEnd (): Promise<void> {
    await this.#stream.readFromStream()
  }

  restore (): void {
    this.release()
    this.#reads?.restore()
    this.#errors.restore()
  }

  #override (): Override<Reads> {
    const stream = this.#stream
    const reads = override<Reads>(stream, {
      onData: data => {
        reads.original.onData.call(stream, data)

        if (this.#isHeld && canReceive(stream)) {
          this.#isParking = true

          throw PARK
        }
      },

      onRemoteCloseWrite: () => {
        if (this.#isParking) {
          this.#isParking = false
          this.#isParked = true
        } else {
          reads.original.onRemoteCloseWrite.call(stream)
        }
      }
    })

    return reads
  }
}
