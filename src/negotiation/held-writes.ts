/**
 * What a stream was given to send, but keeps back until the listener can take it: the
 * FIN, and writes that are to arrive as messages of their own.
 *
 * A stock js-libp2p listener loses a FIN that is processed before the protocol's
 * handler has attached its listeners: `for await (const chunk of stream)` then never
 * ends. And it joins what has arrived by then into one message. Between writing the
 * echo and calling the handler it updates its peer store. A stock dialer does the same
 * after reading the echo, which makes what it sends come late enough, and so this one
 * does, too. The first byte of the answer, or the listener's own FIN, says that the
 * handler runs.
 *
 * A FIN behind data that was sent after the echo is what a stock dialer sends. By
 * itself, and where streams overtake each other, it comes too early, see held-fins.ts.
 */
import { FIN_LAG } from '../constants.ts'
import { WriteQueue } from './write-queue.ts'
import type { HeldFin, HeldFins } from '../compat/held-fins.ts'
import type { EarlyWrites } from '../types.ts'
import type { HookableStream, HookedStream } from '../compat/muxed-stream.ts'
import type { AbortOptions, StreamMuxer } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

/**
 * Which writes leave before the echo - with `'none'` it is as with stock
 */
export type WritesBeforeEcho = EarlyWrites | 'none'

export interface HeldWritesInit {
  protocol: string

  /**
   * A muxer that is closing does not wait
   */
  muxer: Pick<StreamMuxer, 'status'>

  earlyWrites: WritesBeforeEcho

  /**
   * Whether the listener sees the end of a stream however early it comes - it may say
   * so at any time
   */
  seesEnd(): boolean

  /**
   * Those of the connection, where the muxer's streams overtake each other
   */
  heldFins?: HeldFins

  /**
   * Takes as long as the listener needs from the echo to the handler
   */
  afterEcho(): Promise<unknown>

  /**
   * The methods of the stream that send
   */
  original: Pick<HookedStream, 'send' | 'close' | 'endWriting'>

  /**
   * Called when what was held back has been sent, or there is nothing left to be learnt
   * from the stream either
   */
  onChange(): void
}

/**
 * How far the listener is:
 *
 * - expected: its echo has not arrived
 * - echoed: it has, but the handler may not run yet
 * - running: as much time has passed since then as with stock, so the handler does,
 *   and only the FIN may still be held
 * - released: nothing is held any more
 */
type Phase = 'expected' | 'echoed' | 'running' | 'released'

/**
 * - none: the stream was not closed
 * - due: it was, the FIN is held
 * - leaving: it is behind what has not been passed on yet
 * - sent
 */
type Fin = 'none' | 'due' | 'leaving' | 'sent'

export class HeldWrites implements HeldFin {
  echoedAt = Infinity

  #phase: Phase = 'expected'
  #fin: Fin = 'none'
  #sentAt = 0
  #finSentAt?: number
  #hasWritten = false
  #timer?: ReturnType<typeof setTimeout>

  readonly #writes: WriteQueue
  readonly #stream: HookableStream
  readonly #init: HeldWritesInit

  constructor (stream: HookableStream, init: HeldWritesInit) {
    this.#stream = stream
    this.#init = init
    this.#writes = new WriteQueue(stream)
  }

  /**
   * Whether there is nothing to be done any more
   */
  get isDone (): boolean {
    return this.#phase === 'released' && this.#fin !== 'leaving'
  }

  get protocol (): string {
    return this.#init.protocol
  }

  get isHolding (): boolean {
    return this.#writes.length > 0 || this.#fin === 'due' || this.#fin === 'leaving'
  }

  /**
   * Whether the next write has to wait. Where none may leave that is for the sake of
   * the end.
   */
  get holdsNext (): boolean {
    const { earlyWrites, seesEnd } = this.#init

    if (this.#handlerRuns() || earlyWrites === 'all') {
      return false
    }

    return this.#writes.length > 0 || (earlyWrites === 'first' ? this.#hasWritten : !seesEnd())
  }

  handshakeSent (): void {
    this.#sentAt = performance.now()
  }

  /**
   * A write has been sent. If that was when a stock dialer would send it, so may the
   * FIN be.
   */
  written (): void {
    this.#hasWritten = true

    if (this.#handlerRuns() && !this.#finLags()) {
      this.release()
    }
  }

  hold (data: Uint8Array | Uint8ArrayList): false {
    return this.#writes.add(data)
  }

  /**
   * The stream is closed while writes are held. As far as its user is concerned that
   * takes no time, the end follows what is held. Returns false where nothing is.
   */
  close (): boolean {
    if (this.#writes.length === 0) {
      return false
    }

    if (this.#init.muxer.status !== 'open') {
      this.release()

      return false
    }

    this.#fin = 'due'
    this.#writes.end()

    return true
  }

  /**
   * The FIN is due: sends it, or sees to it that it will be sent
   */
  async endWriting (options?: AbortOptions): Promise<void> {
    const { muxer, original, seesEnd } = this.#init

    if (this.#phase === 'released' || this.#fin === 'leaving' || muxer.status !== 'open' || seesEnd()) {
      if (this.#fin !== 'leaving') {
        this.#finLeaves('sent')
      }

      return original.endWriting(options)
    }

    this.#fin = 'due'
    this.#finFollows()
  }

  echoed (): void {
    const { earlyWrites, heldFins, seesEnd } = this.#init
    const hasWrites = this.#writes.length > 0

    this.#phase = 'echoed'
    this.echoedAt = performance.now()
    heldFins?.echoed(this.#sentAt)

    if (!hasWrites && (seesEnd() || (heldFins == null && this.#fin !== 'due'))) {
      this.release()
      return
    }

    if (hasWrites || heldFins == null || earlyWrites !== 'all') {
      void this.#init.afterEcho().then(() => { this.#letGo() })
    }

    if (this.#fin === 'due' && !hasWrites && earlyWrites !== 'none') {
      this.#finFollows()
    }
  }

  /**
   * The listener has answered, so the handler runs
   */
  answered (): void {
    if (this.#phase === 'released') {
      return
    }

    this.#init.heldFins?.learn(this.#init.protocol, this.#finSentAt == null ? undefined : performance.now() - this.#finSentAt)
    this.release()
  }

  /**
   * The listener may have said that it sees the end however early it comes
   */
  reconsider (): void {
    const { earlyWrites, seesEnd } = this.#init

    if (this.isHolding && seesEnd() && (earlyWrites !== 'first' || this.#writes.length === 0)) {
      this.release()
    }
  }

  /**
   * Send what is held, and hold nothing any more
   */
  release (): void {
    if (this.#phase !== 'released') {
      this.#sendWrites()
      this.#sendFin()
      this.#finish()
    }
  }

  /**
   * Send the FIN, as the listener has given a sign that the handler runs. Whether the
   * answer waits for the FIN is learnt from what follows.
   */
  releaseFin (): void {
    this.#sendFin()

    if (this.#init.heldFins?.learns(this.#init.protocol) !== true) {
      this.#finish()
    }
  }

  /**
   * The stream was closed
   */
  cancel (): void {
    // closing a stream that was aborted may never settle
    this.#fin = 'sent'
    this.#writes.clear()
    this.#finish()
  }

  /**
   * As much time has passed since the echo as with stock: what leaves now comes when
   * the handler runs, and so does the FIN behind it. A FIN alone does not where streams
   * overtake each other, if data has left early.
   */
  #letGo (): void {
    const { heldFins } = this.#init
    const hasWrites = this.#writes.length > 0

    if (this.#phase === 'released') {
      return
    }

    this.#phase = 'running'

    if (heldFins == null || (hasWrites && !this.#finLags())) {
      this.release()
      return
    }

    if (hasWrites) {
      heldFins.measure()
      this.#sendWrites()
      this.#init.onChange()
    }

    if (this.#fin === 'due') {
      this.#finFollows()
    }
  }

  #handlerRuns (): boolean {
    return this.#phase === 'running' || this.#phase === 'released'
  }

  /**
   * Whether the FIN is not to leave together with the data, so that it can be learnt
   * which of the two is answered
   */
  #finLags (): boolean {
    const { protocol, earlyWrites, heldFins } = this.#init

    return this.#phase === 'running' && earlyWrites === 'none' && heldFins?.learns(protocol) === true
  }

  /**
   * The FIN is due, and nothing else is held
   */
  #finFollows (): void {
    if (this.#finLags() && this.#hasWritten) {
      const roundTrip = this.echoedAt - this.#sentAt

      this.#timer = setTimeout(() => { this.releaseFin() }, roundTrip * FIN_LAG)
    } else if (this.#phase !== 'expected') {
      this.#init.heldFins?.add(this)
    }
  }

  #sendWrites (): void {
    this.#hasWritten ||= this.#writes.length > 0
    this.#writes.flush(data => this.#init.original.send(data))
  }

  #sendFin (): void {
    if (this.#fin !== 'due') {
      return
    }

    const stream = this.#stream
    const { original } = this.#init

    this.#finLeaves('leaving')

    // what was held has to leave first
    const ending = stream.writeStatus === 'writable' ? original.close() : original.endWriting()

    ending.catch(err => {
      stream.log.error('could not close the writable end - %e', err)
    }).finally(() => {
      this.#fin = 'sent'
      this.#init.onChange()
    })
  }

  #finLeaves (fin: 'leaving' | 'sent'): void {
    this.#fin = fin
    this.#finSentAt = performance.now()
    this.#init.heldFins?.delete(this)
    this.#init.onChange()
  }

  #finish (): void {
    if (this.#phase !== 'released') {
      this.#phase = 'released'
      clearTimeout(this.#timer)
      this.#init.heldFins?.delete(this)
      this.#init.onChange()
    }
  }
}
