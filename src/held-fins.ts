/**
 * The FINs of one connection that are held back although the echoes of their streams
 * have come, where streams overtake each other, as on QUIC. A listener calls the
 * handler there when its native write of the echo has returned, and may need any time
 * for that, so a FIN goes out with the first sign that it has:
 *
 * - a byte of the answer, or the FIN of the listener
 * - the echo of a stream whose handshake was sent after this echo had arrived
 * - the answer to a probe. Where answers have come before the end until now, one more
 *   is waited for before that, for FIN_DELAY.
 *
 * The probe is a round trip more than a stock dialer needs, whose data and FIN come
 * together after the echo. So where a protocol's answer has not come before the FIN had
 * to go, its next streams on the connection are negotiated as a stock dialer does.
 */
import { FIN_DELAY } from './constants.ts'
import type { HeldWrites } from './held-writes.ts'

export class HeldFins {
  #isProbing = false
  #timer?: ReturnType<typeof setTimeout>
  readonly #fins = new Set<HeldWrites>()

  /**
   * What the answers of a protocol have been until now: whether they come before the
   * end of the request
   */
  readonly #isEarly = new Map<string, boolean>()
  readonly #probe: () => Promise<void>

  /**
   * The function resolves when the listener has answered something that was sent
   * when it was called
   */
  constructor (probe: () => Promise<void>) {
    this.#probe = probe
  }

  /**
   * Whether the answer of the protocol seems to come after the end of the request
   */
  waitsForEnd (protocol: string): boolean {
    return this.#isEarly.get(protocol) === false
  }

  answersEarly (protocol: string): void {
    this.#isEarly.set(protocol, true)
  }

  /**
   * Its echo has come, and it is due
   */
  add (fin: HeldWrites): void {
    this.#fins.add(fin)
    this.#schedule()
  }

  delete (fin: HeldWrites): void {
    this.#fins.delete(fin)

    if (this.#fins.size === 0) {
      clearTimeout(this.#timer)
    }
  }

  /**
   * The listener has answered something that was sent at this time, so it has
   * finished what it had to do for the echoes that had arrived by then
   */
  answered (sentAt: number): void {
    for (const fin of [...this.#fins]) {
      if (fin.echoedAt < sentAt) {
        this.#release(fin)
      }
    }
  }

  #release (fin: HeldWrites): void {
    if (!this.#isEarly.has(fin.protocol)) {
      this.#isEarly.set(fin.protocol, false)
    }

    fin.release()
  }

  #schedule (): void {
    if (this.#isProbing || this.#fins.size === 0) {
      return
    }

    clearTimeout(this.#timer)

    const at = Math.min(...[...this.#fins].map(fin => this.#dueAt(fin)))

    this.#timer = setTimeout(() => { void this.#run() }, Math.max(0, at - performance.now()))
  }

  #dueAt ({ protocol, echoedAt }: HeldWrites): number {
    return this.#isEarly.get(protocol) === true ? echoedAt + FIN_DELAY : echoedAt
  }

  async #run (): Promise<void> {
    const now = performance.now()
    const due = [...this.#fins].filter(fin => this.#dueAt(fin) <= now)

    this.#isProbing = due.length > 0

    if (this.#isProbing) {
      try {
        await this.#probe()
        this.answered(now)
      } catch {
        // it does not answer anything, so it may as well have the FINs
      }

      this.#isProbing = false
      due.forEach(fin => { this.#release(fin) })
    }

    this.#schedule()
  }
}
