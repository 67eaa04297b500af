/**
 * The dialer's side of multistream-select 1.0 for one protocol that the listener
 * is expected to speak: the handshake leaves with the first write, and the
 * listener's echo is checked and taken out while the stream is in use already. The stream
 * is one of a muxer, or a connection, or what an encrypter has made of a connection.
 *
 * It all happens in methods that are replaced on the one stream until that is
 * done, so there is no wrapper, and nothing to pay for afterwards. What stays is that
 * readers may come late, see late-listeners.ts.
 *
 * @see https://github.com/libp2p/specs/issues/643
 * @see https://github.com/multiformats/go-multistream/blob/master/lazyClient.go
 */
import { ConnectionClosedError } from '@libp2p/interface'
import { StreamClosedError } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { concat } from 'uint8arrays/concat'
import { Echo } from './echo.ts'
import { EchoDeadline } from './echo-deadline.ts'
import { HeldWrites } from './held-writes.ts'
import { encodeHandshake } from './multistream-select.ts'
import { later } from '../util/next-turn.ts'
import { HookedStream } from '../compat/muxed-stream.ts'
import { closeStream } from '../compat/stream-close.ts'
import type { EchoDeadlineInit } from './echo-deadline.ts'
import type { HeldWritesInit } from './held-writes.ts'
import type { HookableStream } from '../compat/muxed-stream.ts'
import type { AbortOptions, StreamCloseEvent } from '@libp2p/interface'

/**
 * A first write of up to so many bytes is copied
 */
const MAX_COPY = 4096

export interface OptimisticNegotiationInit extends EchoDeadlineInit {
  /**
   * How long the handshake waits for the first write, in ms - until the next turn of the
   * event loop if that is not said
   */
  patience?: number

  /**
   * What stays behind the echo
   */
  held: Omit<HeldWritesInit, 'protocol' | 'original' | 'onChange'>

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
   * The stream has failed, and not because of this end, before the listener had confirmed
   * the protocol
   */
  onUnconfirmed?(): void

  /**
   * The stream was closed, whether the listener had confirmed the protocol or not
   */
  onClose?(evt: StreamCloseEvent): void

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

/**
 * - unsent: the handshake waits for the first write
 * - expecting: it was sent, what is received belongs to the echo
 * - settled: the echo is in, or the stream was closed
 * - done: nothing is being held back either, the stream is the muxer's own again
 */
type State = 'unsent' | 'expecting' | 'settled' | 'done'

export class OptimisticNegotiation {
  /**
   * Whether the listener has been asked for the protocol, and has not confirmed it
   */
  isUnconfirmed = false

  #state: State = 'unsent'
  #hasFin = false
  #readClosed = false
  #sent?: PromiseWithResolvers<void>
  readonly #echo: Echo
  readonly #handshake: Uint8Array
  readonly #stream: HookableStream
  readonly #init: OptimisticNegotiationInit
  readonly #hooked: HookedStream
  readonly #held: HeldWrites
  readonly #deadline: EchoDeadline
  readonly #cancelFlush: () => void

  constructor (stream: HookableStream, init: OptimisticNegotiationInit) {
    this.#stream = stream
    this.#init = init
    this.#handshake = encodeHandshake(init.protocol)
    this.#echo = new Echo(init.protocol, this.#handshake)

    this.#hooked = new HookedStream(stream, {
      send: data => this.#send(data),
      close: async options => this.#close(options),
      received: data => { this.#received(data) },
      receivedFin: () => { this.#receivedFin() },
      lost: err => { this.#lost(err) },
      stopReading: async options => this.#stopReading(options),
      endWriting: init.held.seesEnd() ? undefined : async options => this.#held.endWriting(options)
    })

    this.#held = new HeldWrites(stream, {
      ...init.held,
      protocol: init.protocol,
      original: this.#hooked,
      onChange: () => { this.#finish() }
    })

    stream.addEventListener('close', this.#onClose, { once: true })
    this.#deadline = new EchoDeadline(init, err => { this.#refuse(err) })

    // a dialer that only reads would leave a listener that speaks first waiting,
    // see https://github.com/libp2p/js-libp2p/issues/2321
    this.#cancelFlush = later(() => {
      try {
        this.flush()
      } catch (err) {
        // it could not be sent, and the stream has been aborted
        stream.log.error('could not send the handshake of %s - %e', init.protocol, err)
      }
    }, init.patience)
  }

  /**
   * Send the handshake by itself, unless it has left already
   */
  flush (): void {
    if (this.#state === 'unsent') {
      this.#sendHandshake(this.#handshake)
    }
  }

  /**
   * Something has become known about the listener
   */
  reconsider (): void {
    this.#held.reconsider()
  }

  /**
   * If the listener has not confirmed the protocol, or not all that the stream was given
   * has left: resolves when that is so, or the stream is closed. A stream that nothing was
   * written to counts as well: with stock its handler has been called by now.
   */
  untilSent (): Promise<void> | undefined {
    if (this.#isSent()) {
      return
    }

    this.#sent ??= Promise.withResolvers()

    return this.#sent.promise
  }

  /**
   * Leave nothing behind: a stream that was not confirmed is aborted with the
   * error, what is being held back is sent
   */
  stop (err: Error): void {
    if (this.#isOpen()) {
      this.#stream.abort(err)
    } else {
      this.#held.release()
    }
  }

  #sendHandshake (data: Uint8Array | Uint8ArrayList): boolean {
    this.#state = 'expecting'
    this.isUnconfirmed = true
    this.#cancelFlush()
    this.#held.handshakeSent()

    return this.#hooked.send(data)
  }

  #send (data: Uint8Array | Uint8ArrayList): boolean {
    if (this.#stream.writeStatus === 'writable' && this.#held.holdsNext) {
      this.flush()

      return this.#held.hold(data)
    }

    // where this throws, nothing has been sent
    const sent = this.#state === 'unsent'
      ? this.#sendHandshake(prepend(this.#handshake, data))
      : this.#hooked.send(data)

    this.#held.written()

    return sent
  }

  async #close (options?: AbortOptions): Promise<void> {
    // it cannot be sent any more afterwards
    this.flush()

    if (!this.#held.close()) {
      await closeStream(this.#stream, async () => this.#hooked.close(options))
    }
  }

  #received (data: Uint8Array | Uint8ArrayList): void {
    if (!this.#isOpen()) {
      this.#held.answered()
      this.#hooked.received(data)
      return
    }

    try {
      // a listener may speak first
      this.flush()

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
    this.isUnconfirmed = false
    this.#settle()

    if (this.#readClosed) {
      this.#stopReading().catch(err => {
        this.#stream.log.error('could not close the readable end - %e', err)
      })
    }

    this.#held.echoed()
    this.#init.onConfirmed()
    this.#finish()

    if (this.#echo.rest.byteLength > 0) {
      this.#received(this.#echo.rest)
    }

    if (this.#hasFin) {
      this.#receivedFin()
    }
  }

  #refuse (err: Error): void {
    if (this.#isOpen()) {
      this.#stream.abort(err)
      this.#init.onUnconfirmed?.()
      this.#init.onRefused(err)
    }
  }

  #receivedFin (): void {
    if (!this.#isOpen()) {
      this.#held.answered()
      this.#hooked.receivedFin()
      return
    }

    // a muxer that finds the FIN in the frame that ends the echo may say so
    // before it hands in the data
    this.#hasFin = true

    queueMicrotask(() => {
      this.#refuse(new StreamClosedError(`The peer ended the stream before it had answered the handshake of ${this.#init.protocol}`))
    })
  }

  #lost (err?: Error): void {
    if (this.#isOpen()) {
      // a reader must not mistake this for the end of the answer
      err ??= new ConnectionClosedError(`The connection was closed before the peer had answered the handshake of ${this.#init.protocol}`)
      this.#init.onUnconfirmed?.()
    }

    this.#hooked.lost(err)
  }

  async #stopReading (options?: AbortOptions): Promise<void> {
    if (!this.#isOpen()) {
      return this.#hooked.stopReading(options)
    }

    // a muxer may not hand in any data after this, and a listener that cannot
    // write the echo may not go on, so it waits for the echo, see
    // https://github.com/multiformats/go-multistream/pull/115
    this.#readClosed = true
  }

  readonly #onClose = (evt: StreamCloseEvent): void => {
    const wasOpen = this.#isOpen()

    this.#init.onClose?.(evt)
    this.#settle()
    this.#held.cancel()
    this.#finish()

    if (wasOpen && evt.local === false) {
      this.#init.onUnconfirmed?.()
      this.#init.onRefused(evt.error ?? new StreamClosedError('The stream was closed'))
    }
  }

  /**
   * Whether it is still open if the listener confirms the protocol
   */
  #isOpen (): boolean {
    return this.#state === 'unsent' || this.#state === 'expecting'
  }

  #settle (): void {
    if (this.#isOpen()) {
      this.#state = 'settled'
      this.#deadline.stop()
      this.#cancelFlush()
    }
  }

  #isSent (): boolean {
    return !this.#isOpen() && !this.#held.isHolding
  }

  #finish (): void {
    if (this.#state === 'settled' && this.#held.isDone) {
      this.#state = 'done'
      this.#hooked.restore()
      this.#init.onDone()
    }

    if (this.#sent != null && this.#isSent()) {
      this.#sent.resolve()
    }
  }
}
