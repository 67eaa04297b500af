/**
 * The dialer's side of multistream-select 1.0 for one protocol that the listener
 * is expected to speak: the handshake leaves with the first write, and the
 * listener's echo is checked and taken out while the stream is in use already.
 *
 * - unsent: the handshake waits for the first write
 * - expecting: it was sent, what is received belongs to the echo
 * - settled: the echo is in, or the stream was closed
 * - done: neither is a FIN being held back, the stream is the muxer's own again
 *
 * It all happens in methods that are replaced on the one stream until that is
 * done, so there is no wrapper, and nothing to pay for afterwards.
 *
 * @see https://github.com/libp2p/specs/issues/643
 * @see https://github.com/multiformats/go-multistream/blob/master/lazyClient.go
 */
import { TimeoutError } from '@libp2p/interface'
import { UnexpectedEOFError } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { concat } from 'uint8arrays/concat'
import { Echo } from './echo.ts'
import { HeldFin } from './held-fin.ts'
import { encodeHandshake } from './multistream-select.ts'
import { nextTurn } from './next-turn.ts'
import { hookStream } from './stream-hooks.ts'
import type { Deadlines } from './deadlines.ts'
import type { HeldFinInit } from './held-fin.ts'
import type { MuxedStream } from './muxer-access.ts'
import type { Override } from './override.ts'
import type { StreamMethods } from './stream-hooks.ts'
import type { AbortOptions, StreamCloseEvent } from '@libp2p/interface'

/**
 * A first write of up to so many bytes is copied
 */
const MAX_COPY = 4096

export interface OptimisticNegotiationInit {
  /**
   * The protocol that the listener is expected to speak
   */
  protocol: string

  /**
   * How long the echo may take, in ms
   */
  timeout: number

  /**
   * Of all negotiations
   */
  deadlines: Deadlines

  /**
   * How the FIN of a stream that is closed before the echo stays behind it - by
   * default it does not
   */
  holdFin?: Omit<HeldFinInit, 'sendCloseWrite' | 'onReleased'>

  /**
   * The listener confirmed the protocol
   */
  onConfirmed(): void

  /**
   * The listener did not confirm the protocol but answered with something else,
   * ended or reset the stream, or was silent for too long. The stream has been
   * closed with this error.
   */
  onRefused(err: Error): void

  /**
   * Called once, when nothing of the negotiation is left on the stream
   */
  onDone(): void
}

/**
 * One chunk, as a list costs more further down - unless there is a lot to copy
 */
function prepend (handshake: Uint8Array, data: Uint8Array | Uint8ArrayList): Uint8Array | Uint8ArrayList {
  return data.byteLength > MAX_COPY ? new Uint8ArrayList(handshake, data) : concat([handshake, data.subarray()])
}

export class OptimisticNegotiation {
  #state: 'unsent' | 'expecting' | 'settled' | 'done' = 'unsent'
  #receivedFin = false
  #readClosed = false
  readonly #echo: Echo
  readonly #handshake: Uint8Array
  readonly #stream: MuxedStream
  readonly #init: OptimisticNegotiationInit
  readonly #hooks: Override<StreamMethods>
  readonly #fin?: HeldFin
  readonly #cancelFlush: () => void

  constructor (stream: MuxedStream, init: OptimisticNegotiationInit) {
    this.#stream = stream
    this.#init = init
    this.#handshake = encodeHandshake(init.protocol)
    this.#echo = new Echo(init.protocol, this.#handshake)

    const { holdFin } = init
    const fin = holdFin == null
      ? undefined
      : new HeldFin(stream, {
        ...holdFin,
        sendCloseWrite: async () => this.#hooks.original.sendCloseWrite.call(stream),
        onReleased: () => { this.#finish() }
      })

    this.#fin = fin
    this.#hooks = hookStream(stream, {
      send: data => this.#send(data),
      close: async options => this.#close(options),
      onData: data => { this.#onData(data) },
      onRemoteCloseWrite: () => { this.#onRemoteCloseWrite() },
      onTransportClosed: err => { this.#onTransportClosed(err) },
      sendCloseRead: async options => this.#sendCloseRead(options),
      sendCloseWrite: fin == null ? undefined : async options => fin.sendCloseWrite(options)
    })

    stream.addEventListener('close', this.#onClose)

    init.deadlines.add(this.#onTimeout, init.timeout)

    // a dialer that only reads would leave a listener that speaks first waiting,
    // see https://github.com/libp2p/js-libp2p/issues/2321
    this.#cancelFlush = nextTurn(() => {
      try {
        this.flush()
      } catch (err) {
        // the muxer could not send it and has aborted the stream
        stream.log.error('could not send the handshake of %s - %e', init.protocol, err)
      }
    })
  }

  /**
   * Send the handshake by itself, unless it has left already
   */
  flush (): void {
    if (this.#state === 'unsent') {
      this.#sendHandshake()
    }
  }

  /**
   * Leave nothing behind: a stream that was not confirmed is aborted with the
   * error, a FIN that is being held back is sent
   */
  stop (err: Error): void {
    if (this.#isOpen()) {
      this.#stream.abort(err)
    } else {
      this.#fin?.release()
    }
  }

  #sendHandshake (data?: Uint8Array | Uint8ArrayList): boolean {
    this.#state = 'expecting'
    this.#cancelFlush()
    this.#fin?.sent()

    return this.#hooks.original.send.call(this.#stream, data == null ? this.#handshake : prepend(this.#handshake, data))
  }

  #send (data: Uint8Array | Uint8ArrayList): boolean {
    if (this.#state === 'unsent') {
      return this.#sendHandshake(data)
    }

    return this.#hooks.original.send.call(this.#stream, data)
  }

  async #close (options?: AbortOptions): Promise<void> {
    // it can not be sent any more afterwards
    this.flush()

    return this.#hooks.original.close.call(this.#stream, options)
  }

  #onData (data: Uint8Array | Uint8ArrayList): void {
    if (!this.#isOpen()) {
      // the first byte of the answer
      this.#fin?.release()
      this.#hooks.original.onData.call(this.#stream, data)
      return
    }

    try {
      if (!this.#echo.receive(data)) {
        return
      }
    } catch (err: any) {
      this.#refuse(err)
      return
    }

    this.#confirm()
  }

  #confirm (): void {
    this.#settle()

    if (this.#readClosed) {
      this.#stream.sendCloseRead().catch(err => {
        this.#stream.log.error('could not close the readable end - %e', err)
      })
    }

    this.#fin?.echoed()
    this.#init.onConfirmed()
    this.#finish()

    if (this.#echo.rest.byteLength > 0) {
      this.#stream.onData(this.#echo.rest)
    }

    if (this.#receivedFin) {
      this.#stream.onRemoteCloseWrite()
    }
  }

  #refuse (err: Error): void {
    if (this.#isOpen()) {
      this.#stream.abort(err)
      this.#init.onRefused(err)
    }
  }

  #onRemoteCloseWrite (): void {
    if (!this.#isOpen()) {
      this.#fin?.release()
      this.#hooks.original.onRemoteCloseWrite.call(this.#stream)
      return
    }

    // a muxer that finds the FIN in the frame that ends the echo may say so
    // before it hands in the data
    this.#receivedFin = true

    queueMicrotask(() => {
      this.#refuse(new UnexpectedEOFError(`The peer ended the stream before it had answered the handshake of ${this.#init.protocol}`))
    })
  }

  #onTransportClosed (err?: Error): void {
    if (this.#isOpen()) {
      // a reader must not take this for the end of the answer
      err ??= new UnexpectedEOFError(`The connection was closed before the peer had answered the handshake of ${this.#init.protocol}`)
    }

    this.#hooks.original.onTransportClosed.call(this.#stream, err)
  }

  async #sendCloseRead (options?: AbortOptions): Promise<void> {
    if (!this.#isOpen()) {
      return this.#hooks.original.sendCloseRead.call(this.#stream, options)
    }

    // a muxer may not hand in any data after this, and a listener that can not
    // write the echo may not go on, so it waits for the echo, see
    // https://github.com/multiformats/go-multistream/pull/115
    this.#readClosed = true
  }

  readonly #onTimeout = (): void => {
    this.#refuse(new TimeoutError(`The peer did not answer the handshake of ${this.#init.protocol} within ${this.#init.timeout}ms`))
  }

  readonly #onClose = (evt: StreamCloseEvent): void => {
    const wasOpen = this.#isOpen()
    const err = evt.error ?? new UnexpectedEOFError('The stream was closed')

    this.#settle()
    this.#fin?.cancel(err)
    this.#finish()

    if (wasOpen && evt.local === false) {
      this.#init.onRefused(err)
    }
  }

  /**
   * Whether it is still open if the listener confirms the protocol
   */
  #isOpen (): boolean {
    return this.#state === 'unsent' || this.#state === 'expecting'
  }

  #settle (): void {
    this.#state = 'settled'
    this.#init.deadlines.delete(this.#onTimeout)
    this.#cancelFlush()
  }

  #finish (): void {
    if (this.#state === 'settled' && this.#fin?.released !== false) {
      this.#state = 'done'
      this.#hooks.restore()
      this.#stream.removeEventListener('close', this.#onClose)
      this.#init.onDone()
    }
  }
}
