import delay from 'delay'

/**
 * Lets there be only so many dials to one host within an interval. Some do not wait, but
 * count, which is why this is not a queue.
 */
export class Pace {
  readonly #max: number
  readonly #interval: number

  /**
   * When the last dials to each host were made, or are going to be
   */
  readonly #dials = new Map<string, number[]>()

  constructor (max: number, interval: number) {
    this.#max = max
    this.#interval = interval
  }

  /**
   * Somebody dials the host now, without having waited
   */
  record (host: string): void {
    this.#add(host, performance.now())
  }

  /**
   * Resolves when it is time, at once if it was quiet
   */
  async wait (host: string, signal: AbortSignal): Promise<void> {
    const now = performance.now()
    const first = this.#recent(host, now).at(-this.#max)
    const time = first == null ? now : Math.max(now, first + this.#interval)

    this.#add(host, time)

    if (time === now) {
      return
    }

    try {
      await delay(time - now, { signal })
    } catch (err) {
      this.#remove(host, time)

      throw err
    }
  }

  #add (host: string, time: number): void {
    const now = performance.now()

    this.#dials.set(host, [...this.#recent(host, now), time].sort((a, b) => a - b))

    // hosts that are not dialled any more
    for (const other of this.#dials.keys()) {
      if (this.#recent(other, now).length === 0) {
        this.#dials.delete(other)
      }
    }
  }

  /**
   * The dial is not made, so nobody has to wait because of it
   */
  #remove (host: string, time: number): void {
    const dials = this.#dials.get(host) ?? []
    const index = dials.indexOf(time)

    if (index !== -1) {
      dials.splice(index, 1)
    }
  }

  #recent (host: string, now: number): number[] {
    return this.#dials.get(host)?.filter(time => time > now - this.#interval) ?? []
  }
}
