/**
 * Keeps the FIN of a stream back until the listener can take it.
 *
 * A stock js-libp2p listener loses a FIN that is processed before the protocol's
 * handler has attached its listeners: `for await (const chunk of stream)` then
 * never ends. Between writing the echo and calling the handler it updates its
 * peer store. A stock dialer does the same after reading the echo, so that its
 * FIN comes late enough, and so this one does, too.
 *
 * That is not enough on QUIC, where a listener calls the handler when its native
 * write of the echo has returned. There the FIN follows the first sign of the
 * handler - a byte of its answer, or its own FIN - or comes a while after the
 * echo.
 */
import { raceSignal } from 'race-signal'
import { override } from './override.ts'
import type { MuxedStream } from './muxer-access.ts'
import type { Override } from './override.ts'
import type { AbortOptions, StreamMuxer } from '@libp2p/interface'

type Closing = Pick<MuxedStream, 'sendCloseWrite'>
type Answering = Pick<MuxedStream, 'onData' | 'onRemoteCloseWrite'>

export interface HeldFinInit {
  /**
   * How long after the echo the FIN goes out without an answer, in ms - with 0 it
   * does not wait for one
   */
  delay: number

  /**
   * Takes as long as the listener needs to get from the echo to the handler
   */
  afterEcho(): Promise<unknown>

  /**
   * A muxer that is closing does not wait
   */
  muxer: Pick<StreamMuxer, 'status'>

  /**
   * Called once, when the FIN is not held back any longer
   */
  onReleased(): void
}

export class HeldFin {
  #echoedAt?: number
  #released = false
  #echo?: PromiseWithResolvers<void>
  #timer?: ReturnType<typeof setTimeout>
  #answering?: Override<Answering>
  readonly #stream: MuxedStream
  readonly #init: HeldFinInit
  readonly #closing: Override<Closing>

  constructor (stream: MuxedStream, init: HeldFinInit) {
    this.#stream = stream
    this.#init = init
    this.#closing = override<Closing>(stream, {
      sendCloseWrite: async options => this.#sendCloseWrite(options)
    })
  }

  get released (): boolean {
    return this.#released
  }

  /**
   * The listener's echo has arrived
   */
  echoed (): void {
    this.#echoedAt = performance.now()
    this.#echo?.resolve()

    if (this.#init.delay === 0) {
      this.release()
      return
    }

    this.#answering = override<Answering>(this.#stream, {
      onData: data => {
        this.release()
        this.#answering?.original.onData.call(this.#stream, data)
      },
      onRemoteCloseWrite: () => {
        this.release()
        this.#answering?.original.onRemoteCloseWrite.call(this.#stream)
      }
    })
  }

  /**
   * If the FIN is being held it goes out now, if not it will not be
   */
  release (): void {
    const due = this.#timer != null

    this.#finish()

    if (due) {
      this.#closing.original.sendCloseWrite.call(this.#stream).catch(err => {
        this.#stream.log.error('could not close the writable end - %e', err)
      })
    }
  }

  /**
   * The stream was closed
   */
  cancel (err: Error): void {
    this.#echo?.reject(err)
    this.#finish()
  }

  async #sendCloseWrite (options?: AbortOptions): Promise<void> {
    if (this.#echoedAt == null && this.#init.muxer.status === 'open') {
      this.#echo = Promise.withResolvers()
      await raceSignal(this.#echo.promise, options?.signal)

      if (this.#init.delay === 0) {
        await this.#init.afterEcho()
      }
    }

    if (!this.#released && this.#echoedAt != null && this.#init.muxer.status === 'open') {
      const wait = this.#echoedAt + this.#init.delay - performance.now()

      if (wait > 0) {
        this.#timer = setTimeout(() => { this.release() }, wait)
        return
      }
    }

    this.#finish()

    return this.#closing.original.sendCloseWrite.call(this.#stream, options)
  }

  #finish (): void {
    if (this.#released) {
      return
    }

    this.#released = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#answering?.restore()
    this.#closing.restore()
    this.#init.onReleased()
  }
}
