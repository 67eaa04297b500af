/**
 * What upstream does: a listener loses a FIN that comes before the handler of the
 * protocol listens, see late-listeners.ts (@libp2p/utils 7,
 * src/abstract-message-stream.ts). Where streams overtake each other, as on QUIC, the FIN
 * of one does not wait for what the listener has to do before it calls the handler: that
 * is when its native write of the echo has returned, which may take any time.
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/utils/src/abstract-message-stream.ts,
 * test/interop/upstream/js-libp2p-lost-fin.md
 *
 * How it is detected: the peer does not name the protocol of listener-guard.ts, and the
 * muxer of the connection is not one that a node is configured with.
 *
 * Without it: of requests to stock handlers that use `for await`, 3 in 100 are never
 * answered over QUIC when their FIN follows the echo after 10 ms, see FIN_DELAY.
 *
 * Until: what ends late-listeners.ts, when peers that are older than that have gone.
 *
 * A FIN goes out with the first sign that the handler has been called:
 *
 * - a byte of the answer, or the FIN of the listener
 * - the echo of a stream whose handshake was sent after this echo had arrived
 * - the answer to a probe. Where answers have come before the end until now, one more
 *   is waited for before that, for FIN_DELAY.
 *
 * The probe is a round trip more than a stock dialer needs, whose data and FIN come
 * together after the echo. So where the answers of a protocol have turned out to wait
 * for the end of the request, its next streams on the connection are negotiated as a
 * stock dialer does.
 */
import { FIN_DELAY, MIN_ANSWER } from '../constants.ts'
import { nextTurn } from '../util/next-turn.ts'

/**
 * The FIN of one stream
 */
export interface HeldFin {
  protocol: string

  /**
   * When the echo arrived, as of `performance.now()`
   */
  echoedAt: number

  /**
   * The listener has given a sign that the handler runs
   */
  releaseFin(): void
}

export class HeldFins {
  #isProbing = false

  /**
   * The shortest one until now, in ms
   */
  #roundTrip = Infinity
  #cancelProbe?: () => void
  readonly #fins = new Set<HeldFin>()

  /**
   * When the answers of each protocol have come until now: certainly before the end of
   * the request, too soon after it to be because of it, or later
   */
  readonly #answers = new Map<string, 'early' | 'soon' | 'late'>()
  readonly #probe: () => Promise<void>

  /**
   * The function resolves when the listener has answered something that was sent
   * when it was called
   */
  constructor (probe: () => Promise<void>) {
    this.#probe = probe
  }

  /**
   * Whether the answers of the protocol have come after the end of the request
   */
  waitsForEnd (protocol: string): boolean {
    return this.#answers.get(protocol) === 'late'
  }

  /**
   * Whether it is to be found out when the answers of the protocol come
   */
  learns (protocol: string): boolean {
    return this.#answers.get(protocol) !== 'early' && this.#answers.get(protocol) !== 'late'
  }

  /**
   * The stream of the protocol was answered so long after its FIN, in ms, if that had
   * been sent
   */
  learn (protocol: string, sinceFin?: number): void {
    if (sinceFin == null) {
      this.#answers.set(protocol, 'early')
    } else if (this.#answers.get(protocol) !== 'early') {
      this.#answers.set(protocol, this.#isProbing || sinceFin < this.#roundTrip * MIN_ANSWER ? 'soon' : 'late')
    }
  }

  /**
   * Its echo has come, and it is due
   */
  add (fin: HeldFin): void {
    this.#fins.add(fin)
    this.#schedule()
  }

  delete (fin: HeldFin): void {
    this.#fins.delete(fin)

    if (this.#fins.size === 0) {
      this.#cancelProbe?.()
    }
  }

  /**
   * The echo of something that was sent at this time has come, so the listener has
   * finished what it had to do for the echoes that had arrived by then
   */
  echoed (sentAt: number): void {
    this.#roundTrip = Math.min(this.#roundTrip, performance.now() - sentAt)

    for (const fin of [...this.#fins]) {
      if (fin.echoedAt < sentAt) {
        fin.releaseFin()
      }
    }
  }

  #schedule (): void {
    if (this.#isProbing || this.#fins.size === 0) {
      return
    }

    this.#cancelProbe?.()

    const wait = Math.min(...[...this.#fins].map(fin => this.#dueAt(fin))) - performance.now()
    const run = (): void => { void this.#run() }

    if (wait > 0) {
      const timer = setTimeout(run, wait)

      this.#cancelProbe = () => { clearTimeout(timer) }
    } else {
      // a timer takes a millisecond, and other echoes may come in this turn
      this.#cancelProbe = nextTurn(run)
    }
  }

  #dueAt ({ protocol, echoedAt }: HeldFin): number {
    return this.#answers.get(protocol) === 'early' ? echoedAt + FIN_DELAY : echoedAt
  }

  /**
   * Find out how long a round trip takes. The first handshake of a connection does not
   * show it, as the listener may still be setting that up.
   */
  measure (): void {
    if (!this.#isProbing) {
      void this.#runProbe()
    }
  }

  async #run (): Promise<void> {
    const now = performance.now()
    const due = [...this.#fins].filter(fin => this.#dueAt(fin) <= now)

    if (due.length > 0 && !this.#isProbing) {
      await this.#runProbe()
      due.forEach(fin => { fin.releaseFin() })
    }

    this.#schedule()
  }

  async #runProbe (): Promise<void> {
    const sentAt = performance.now()

    this.#isProbing = true

    try {
      await this.#probe()
      this.echoed(sentAt)
    } catch {
      // it does not answer anything, so it may as well have the FINs
    }

    this.#isProbing = false
    this.#schedule()
  }
}
