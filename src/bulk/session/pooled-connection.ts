import { setMaxListeners } from '@libp2p/interface'
import { raceSignal } from 'race-signal'
import type { Connected } from '../dial/connector.ts'

interface PooledConnectionInit {
  /**
   * Whether the session has another one already, and can go on without this one
   */
  isFurther: boolean

  dial(signal: AbortSignal): Promise<Connected>

  /**
   * The connection came when nobody wanted it any more
   */
  onUnused(connected: Connected): void
}

/**
 * - `dialling`
 * - `failed`: there is no connection, or nobody has waited for it
 * - `untried`: no stream has been opened on it yet, and the peer may not want it. Over
 *   QUIC it gets to know of the connection only after the dial.
 * - `accepted`: a stream was opened on it
 * - `refused`: the peer did not want it
 * - `lost`
 */
type State =
  | { name: 'dialling' | 'failed' }
  | { name: 'untried' | 'accepted' | 'refused' | 'lost', connected: Connected }

/**
 * A connection of a session, and how many of its streams use it
 */
export class PooledConnection {
  readonly isFurther: boolean
  #state: State = { name: 'dialling' }
  #references = 0
  readonly #controller = new AbortController()
  readonly #dialling: Promise<Connected>

  constructor (init: PooledConnectionInit) {
    setMaxListeners(Infinity, this.#controller.signal)

    this.isFurther = init.isFurther
    this.#dialling = this.#dial(init)

    // who waits for it may have gone
    this.#dialling.catch(() => {})
  }

  /**
   * Streams that are open, or are being opened
   */
  get references (): number {
    return this.#references
  }

  get state (): State['name'] {
    return this.#state.name
  }

  get connected (): Connected | undefined {
    return 'connected' in this.#state ? this.#state.connected : undefined
  }

  /**
   * Whether it is worth waiting for, or trying to open a stream on
   */
  get isUsable (): boolean {
    const { name } = this.#state

    return name === 'dialling' || ((name === 'untried' || name === 'accepted') && this.connected?.connection.status === 'open')
  }

  retain (): this {
    this.#references++

    return this
  }

  release (): void {
    this.#references--

    if (this.#references === 0) {
      this.abort()
    }
  }

  /**
   * End the dial, if it has not come to its end
   */
  abort (reason?: Error): void {
    if (this.#state.name === 'dialling') {
      this.#state = { name: 'failed' }
      this.#controller.abort(reason)
    }
  }

  /**
   * A stream was opened on it
   */
  accept (): void {
    // another stream may have given it up in the meantime
    if (this.#state.name === 'untried') {
      this.#state = { ...this.#state, name: 'accepted' }
    }
  }

  giveUp (name: 'refused' | 'lost'): void {
    if ('connected' in this.#state) {
      this.#state = { ...this.#state, name }
    }
  }

  async untilConnected (signal?: AbortSignal): Promise<Connected> {
    return raceSignal(this.#dialling, signal)
  }

  async #dial ({ dial, onUnused }: PooledConnectionInit): Promise<Connected> {
    const { signal } = this.#controller

    try {
      const connected = await dial(signal)

      if (signal.aborted) {
        onUnused(connected)
        signal.throwIfAborted()
      }

      this.#state = { name: 'untried', connected }

      return connected
    } catch (err) {
      this.#state = { name: 'failed' }

      throw err
    }
  }
}
