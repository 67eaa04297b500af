import { setMaxListeners } from '@libp2p/interface'
import { raceSignal } from 'race-signal'
import type { Connected } from '../dial/connector.ts'

export interface SlotInit {
  /**
   * Whether the session has another one already, and can go on without this one
   */
  isExtra: boolean

  connect(signal: AbortSignal): Promise<Connected>

  /**
   * The connection came when nobody wanted it any more
   */
  onUnused(connected: Connected): void
}

/**
 * One connection of a session, from when it is dialled until it is lost
 */
export class Slot {
  readonly isExtra: boolean
  #streams = 0
  #connected?: Connected
  #isLost = false
  #isProven = false
  readonly #controller = new AbortController()
  readonly #connecting: Promise<Connected>

  constructor (init: SlotInit) {
    setMaxListeners(Infinity, this.#controller.signal)

    this.isExtra = init.isExtra
    this.#connecting = this.#connect(init)

    // who waits for it may have gone
    this.#connecting.catch(() => {})
  }

  /**
   * Streams that are open, or are being opened
   */
  get streams (): number {
    return this.#streams
  }

  get connected (): Connected | undefined {
    return this.#connected
  }

  get isLost (): boolean {
    return this.#isLost || (this.#connected != null && this.#connected.connection.status !== 'open')
  }

  /**
   * Whether a stream could be opened on it
   */
  get isProven (): boolean {
    return this.#isProven
  }

  join (): this {
    this.#streams++

    return this
  }

  leave (): void {
    this.#streams--

    if (this.#streams === 0 && this.#connected == null) {
      this.abort()
    }
  }

  proven (): void {
    this.#isProven = true
  }

  lost (): void {
    this.#isLost = true
  }

  abort (reason?: Error): void {
    this.#isLost ||= this.#connected == null
    this.#controller.abort(reason)
  }

  async connection (signal?: AbortSignal): Promise<Connected> {
    return raceSignal(this.#connecting, signal)
  }

  async #connect ({ connect, onUnused }: SlotInit): Promise<Connected> {
    const { signal } = this.#controller

    try {
      const connected = await connect(signal)

      if (signal.aborted) {
        onUnused(connected)
        signal.throwIfAborted()
      }

      this.#connected = connected

      return connected
    } catch (err) {
      this.#isLost = true

      throw err
    }
  }
}
