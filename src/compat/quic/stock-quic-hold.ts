/**
 * Keeps the peer waiting on a QUIC stream that is as upstream has made it: the service
 * does not run, was started later, or was told to leave QUIC alone, see quic-streams.ts.
 *
 * There the native stream is out of reach, so it is the loop which reads from it that is
 * ended, and begun again. And what went wrong is only found in the log.
 */
import { override } from '../../util/override.ts'
import { canReceive } from '../../util/streams.ts'
import type { Override } from '../../util/override.ts'
import type { Logger, Stream } from '@libp2p/interface'

type QuicStream = Stream & { readFromStream(): Promise<void>, onData(data: unknown): void, onRemoteCloseWrite(): void }

export function isStockQuicStream (stream: Stream): stream is QuicStream {
  return typeof (stream as Partial<QuicStream>).readFromStream === 'function'
}

interface StockQuicHoldInit {
  /**
   * The stream has not ended, reading has failed
   */
  onError(err: Error): void
}

/**
 * What ends the loop that reads from a QUIC stream, which takes it for the stream
 * being closed because of the code
 */
const PARK = Object.assign(new Error('Reading is held'), { code: 'Unknown' })

export class StockQuicHold {
  #isHeld = false
  #isParking = false
  #isParked = false
  #reads?: Override<Pick<QuicStream, 'onData' | 'onRemoteCloseWrite'>>
  readonly #stream: QuicStream
  readonly #log: Override<Pick<QuicStream, 'log'>>

  constructor (stream: QuicStream, { onError }: StockQuicHoldInit) {
    this.#stream = stream
    this.#log = override<Pick<QuicStream, 'log'>>(stream, { log: spyOnErrors(stream.log, onError) })
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

  restore (): void {
    this.release()
    this.#reads?.restore()
    this.#log.restore()
  }

  #override (): Override<Pick<QuicStream, 'onData' | 'onRemoteCloseWrite'>> {
    const stream = this.#stream
    const reads = override<Pick<QuicStream, 'onData' | 'onRemoteCloseWrite'>>(stream, {
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

/**
 * The only place where a QUIC stream says that it was reset, or that the connection
 * was lost, is its log - to everybody else it is the end of the data
 */
function spyOnErrors (log: Logger, onError: (err: Error) => void): Logger {
  return Object.assign((formatter: any, ...args: any[]) => { log(formatter, ...args) }, log, {
    trace: (formatter: any, ...args: any[]) => {
      if (args[0] instanceof Error && args[0] !== PARK) {
        onError(args[0])
      }

      log.trace(formatter, ...args)
    }
  })
}
