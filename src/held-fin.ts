/**
 * Keeps the FIN of a stream back until the listener can take it.
 *
 * A stock js-libp2p listener loses a FIN that is processed before the protocol's
 * handler has attached its listeners: `for await (const chunk of stream)` then
 * never ends. Between writing the echo and calling the handler it updates its
 * peer store. A stock dialer does the same after reading the echo, which makes
 * its FIN come late enough, and so this one does, too.
 *
 * That is not enough where streams overtake each other, as on QUIC: the listener
 * calls the handler when its native write of the echo has returned. There the FIN
 * goes out with the first sign that it has:
 *
 * - a byte of the answer, or the FIN of the listener
 * - the echo of a stream whose handshake was sent after this echo had arrived
 * - when there was nothing of that for FIN_DELAY: the answer to a probe. To do
 *   without would not do, on a busy machine a listener may need any time to come to
 *   the handler.
 */
import { raceSignal } from 'race-signal'
import { FIN_DELAY } from './constants.ts'
import type { MuxedStream } from './muxer-access.ts'
import type { AbortOptions, StreamMuxer } from '@libp2p/interface'

export interface HeldFinInit {
  /**
   * A muxer that is closing does not wait
   */
  muxer: Pick<StreamMuxer, 'status'>

  /**
   * Where the muxer's streams overtake each other: those of the connection that
   * are being held
   */
  heldFins?: HeldFins

  /**
   * Takes as long as the listener needs from the echo to the handler, unless its
   * streams overtake each other
   */
  afterEcho(): Promise<unknown>

  /**
   * Sends the FIN
   */
  sendCloseWrite(): Promise<void>

  /**
   * Called once, when the FIN is not held back any longer
   */
  onReleased(): void
}

/**
 * The FINs of one connection that are due, but held back, and when the echoes of
 * their streams arrived
 */
export class HeldFins {
  #isProbing = false
  readonly #fins = new Map<HeldFin, number>()
  readonly #late = new Set<HeldFin>()
  readonly #probe: () => Promise<void>

  /**
   * The function resolves when the listener has answered something that was sent
   * when it was called
   */
  constructor (probe: () => Promise<void>) {
    this.#probe = probe
  }

  add (fin: HeldFin, echoedAt: number): void {
    this.#fins.set(fin, echoedAt)
  }

  delete (fin: HeldFin): void {
    this.#fins.delete(fin)
    this.#late.delete(fin)
  }

  /**
   * The listener has answered something that was sent at this time, so it has
   * finished what it had to do for the echoes that had arrived by then
   */
  answered (sentAt: number): void {
    for (const [fin, echoedAt] of [...this.#fins]) {
      if (echoedAt < sentAt) {
        fin.release()
      }
    }
  }

  /**
   * It has been held for long: do not wait for an answer that may never come
   */
  async probeFor (fin: HeldFin): Promise<void> {
    this.#late.add(fin)

    if (this.#isProbing) {
      return
    }

    this.#isProbing = true

    while (this.#late.size > 0) {
      const sentAt = performance.now()

      try {
        await this.#probe()
        this.answered(sentAt)
      } catch {
        // it does not answer anything, so it may as well have the FINs
        this.#late.forEach(fin => { fin.release() })
      }
    }

    this.#isProbing = false
  }
}

export class HeldFin {
  #sentAt = 0
  #echoedAt?: number
  #released = false
  #echo?: PromiseWithResolvers<void>
  #timer?: ReturnType<typeof setTimeout>
  readonly #stream: MuxedStream
  readonly #init: HeldFinInit

  constructor (stream: MuxedStream, init: HeldFinInit) {
    this.#stream = stream
    this.#init = init
  }

  get released (): boolean {
    return this.#released
  }

  /**
   * The handshake has been sent
   */
  sent (): void {
    this.#sentAt = performance.now()
  }

  /**
   * The listener's echo has arrived
   */
  echoed (): void {
    this.#echoedAt = performance.now()
    this.#echo?.resolve()

    if (this.#init.heldFins == null) {
      this.release()
      return
    }

    this.#init.heldFins.answered(this.#sentAt)
  }

  /**
   * The handler runs: if the FIN is being held it goes out now, if not it will not
   * be
   */
  release (): void {
    const isDue = !this.#released && this.#timer != null

    this.#finish()

    if (isDue) {
      this.#init.sendCloseWrite().catch(err => {
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

  /**
   * The stream is to be closed: the FIN goes out when it may
   */
  async sendCloseWrite ({ signal }: AbortOptions = {}): Promise<void> {
    try {
      await raceSignal(this.#sendCloseWrite(), signal)
    } catch (err) {
      // the stream is closed, it is only the FIN that is to follow
      if (signal?.aborted !== true) {
        throw err
      }
    }
  }

  async #sendCloseWrite (): Promise<void> {
    const { muxer, heldFins } = this.#init

    if (this.#echoedAt == null && muxer.status === 'open') {
      this.#echo = Promise.withResolvers()
      await this.#echo.promise

      if (heldFins == null) {
        await this.#init.afterEcho()
      }
    }

    if (!this.#released && this.#echoedAt != null && heldFins != null && muxer.status === 'open') {
      heldFins.add(this, this.#echoedAt)
      this.#timer = setTimeout(() => { void heldFins.probeFor(this) }, Math.max(0, this.#echoedAt + FIN_DELAY - performance.now()))
      return
    }

    this.#finish()

    return this.#init.sendCloseWrite()
  }

  #finish (): void {
    if (this.#released) {
      return
    }

    this.#released = true
    clearTimeout(this.#timer)
    this.#init.heldFins?.delete(this)
    this.#init.onReleased()
  }
}
