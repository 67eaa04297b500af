/**
 * How many chunks are taken, and written, in a turn of the event loop, at most. It is
 * few enough for them to be frames, which take some 30 microseconds each, and enough
 * for turns to cost nothing.
 */
const STEPS_PER_TURN = 256

/**
 * Tells when others should have their turn: a source that has its chunks at hand, and
 * a connection that takes them, would go on in microtasks alone, and keep timers and
 * sockets waiting
 */
export class TurnBudget {
  #count = 0

  /**
   * One more step - returns whether it was the last one of this turn
   */
  spend (): boolean {
    this.#count = (this.#count + 1) % STEPS_PER_TURN

    return this.#count === 0
  }
}
