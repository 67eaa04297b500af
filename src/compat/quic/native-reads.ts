/**
 * What upstream does: a stream reads 4 KiB at a time, each a promise across the native
 * interface, reads on while it is paused until it aborts itself at 4 MiB, and takes a
 * reset or the loss of the connection for the end of the data (@chainsafe/libp2p-quic 2,
 * src/stream.ts).
 *
 * Where: https://github.com/ChainSafe/js-libp2p-quic/blob/main/src/stream.ts,
 * test/interop/upstream/js-libp2p-quic-reads.md
 *
 * How it is detected: by `read` and `write` of the native stream, which quic-streams.ts
 * gets hold of, and by the methods below of what libp2p makes of it.
 *
 * Without it: stock-reads.ts and resets.ts, for sendBulk and receiveBulk only.
 *
 * Until: quic-streams.ts has gone.
 */
import { ConnectionClosedError } from '@libp2p/interface'
import { hasEnded } from '../../util/streams.ts'
import { override } from '../../util/override.ts'
import { heldByPause } from './held-by-pause.ts'
import type { Override } from '../../util/override.ts'
import type { Stream } from '@libp2p/interface'
import type { AbstractStream } from '@libp2p/utils'

/**
 * What stock asks for at a time, in bytes. The native side allocates as much for as
 * long as there is nothing to read, so this is what an idle stream costs.
 */
const MIN_READ = 4 * 1024

/**
 * In bytes
 */
const MAX_READ = 256 * 1024

/**
 * How many times as much the next read asks for when one came back full
 */
const GROWTH = 4

/**
 * What quinn says when the peer has reset a stream, or wants no more of it
 */
const RESET = /^(stream reset|sending stopped) by peer/

/**
 * A stream of quinn
 */
export interface NativeStream {
  read(maxLength: number): Promise<Uint8Array | null>
  write(data: Uint8Array): Promise<void>
}

/**
 * What libp2p has of it
 */
type QuicStream = Stream & Pick<AbstractStream, 'onRemoteReset' | 'onTransportClosed' | 'sendCloseRead' | 'sendReset'> & {
  dispatchReadBuffer(): void
}

/**
 * Where what waits to be read is taken, and thrown away
 */
type ReadBuffer = Pick<QuicStream, 'dispatchReadBuffer' | 'sendCloseRead'>

const METHODS: Array<keyof QuicStream> = ['dispatchReadBuffer', 'onRemoteReset', 'onTransportClosed', 'sendCloseRead', 'sendReset']

export function isQuicStream (stream: Stream): stream is QuicStream {
  return METHODS.every(method => typeof (stream as Partial<QuicStream>)[method] === 'function')
}

export interface NativeReadsOwner {
  /**
   * Called in the constructor of the stream that reads
   */
  onFirstRead(reads: NativeReads): void

  /**
   * The connection is lost, so all streams have come to their end
   */
  onLost(): void
}

/**
 * There are as many of these as streams, most of them idle, each with a read that waits. So
 * the functions that it waits with are made once, and none of them is `async`.
 */
export class NativeReads {
  #size = MIN_READ
  #stream?: QuicStream
  #goOn?: () => void
  readonly #native: NativeStream
  readonly #originalRead: NativeStream['read']
  readonly #originalWrite: NativeStream['write']
  readonly #owner: NativeReadsOwner

  constructor (native: NativeStream, owner: NativeReadsOwner) {
    this.#native = native
    this.#originalRead = native.read
    this.#originalWrite = native.write
    this.#owner = owner

    native.read = this.#read
    native.write = this.#write
  }

  /**
   * The one that reads
   */
  attach (stream: QuicStream): void {
    this.#stream = stream
    heldByPause.set(stream, this)
  }

  restore (): void {
    this.#native.read = this.#native.read === this.#read ? this.#originalRead : this.#native.read
    this.#native.write = this.#native.write === this.#write ? this.#originalWrite : this.#native.write

    if (this.#stream != null) {
      heldByPause.delete(this.#stream)
    }

    this.#goOn?.()
  }

  // eslint-disable-next-line @typescript-eslint/promise-function-async
  readonly #read = (): Promise<Uint8Array | null> => {
    if (this.#stream == null) {
      this.#owner.onFirstRead(this)
    } else if (this.#isHeld(this.#stream)) {
      return this.#untilWanted(this.#stream).then(async () => this.#readNow())
    }

    return this.#readNow()
  }

  // eslint-disable-next-line @typescript-eslint/promise-function-async
  #readNow (): Promise<Uint8Array | null> {
    return this.#originalRead.call(this.#native, this.#size).then(this.#onRead, this.#onError)
  }

  readonly #onRead = (data: Uint8Array | null): Uint8Array | null => {
    // nobody knows how long the next one will have to wait
    this.#size = data?.byteLength === this.#size ? Math.min(this.#size * GROWTH, MAX_READ) : MIN_READ

    return data
  }

  readonly #write = async (data: Uint8Array): Promise<void> => {
    await this.#originalWrite.call(this.#native, data).catch(this.#onError)
  }

  /**
   * Whether there is something to read that nobody takes. A stream that waits for its
   * first data is read though it is paused, or the answer to a handshake, which is no
   * data, would not arrive.
   */
  #isHeld ({ readStatus, readBufferLength, maxReadBufferLength }: QuicStream): boolean {
    return readBufferLength > 0 && (readStatus === 'paused' || readBufferLength + this.#size > maxReadBufferLength)
  }

  /**
   * Resolves when the data was taken, or thrown away
   */
  async #untilWanted (stream: QuicStream): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const goOn = (): void => { resolve() }
    const check = (): void => {
      if (!this.#isHeld(stream)) {
        goOn()
      }
    }
    const methods: Override<ReadBuffer> = override<ReadBuffer>(stream, {
      dispatchReadBuffer: () => {
        methods.original.dispatchReadBuffer.call(stream)
        check()
      },
      sendCloseRead: async options => {
        check()

        return methods.original.sendCloseRead.call(stream, options)
      }
    })

    this.#goOn = goOn
    stream.addEventListener('close', goOn)

    await promise

    stream.removeEventListener('close', goOn)
    methods.restore()
    this.#goOn = undefined
  }

  /**
   * Stock takes what comes next for the end of the data
   */
  readonly #onError = (err: Error): never => {
    const stream = this.#stream

    if (stream != null && !hasEnded(stream)) {
      this.#tell(stream, err)
    }

    throw err
  }

  #tell (stream: QuicStream, err: Error): void {
    if (RESET.test(err.message)) {
      stream.onRemoteReset()
      // or the peer waits for the other half to end
      stream.sendReset(err)
    } else {
      this.#owner.onLost()
      stream.onTransportClosed(new ConnectionClosedError(`The connection was lost - ${err.message}`))
    }
  }
}
