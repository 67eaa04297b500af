import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { HeldFins } from '../src/held-fin.ts'

describe('how long a FIN stays behind the echo where streams overtake each other', () => {
  beforeEach(() => { vi.useFakeTimers() })
  afterEach(() => { vi.useRealTimers() })

  /**
   * An echo that took so long, in ms
   */
  function echo (fins: HeldFins, took: number): void {
    const sentAt = performance.now()

    vi.advanceTimersByTime(took)
    fins.answered(sentAt)
  }

  it('is 300 ms while nothing is known about the listener, and comes down to 100 ms', () => {
    const fins = new HeldFins()
    expect(fins.delay).to.equal(300)

    for (let i = 0; i < 100; i++) {
      echo(fins, 50)
    }

    expect(fins.delay).to.be.closeTo(100, 0.1)
  })

  it('grows with how much slower the listener has become, and not with the distance', () => {
    const fins = new HeldFins()

    for (let i = 0; i < 100; i++) {
      echo(fins, 50)
    }

    echo(fins, 150)
    expect(fins.delay).to.be.closeTo(500, 0.1)
    echo(fins, 50)
    expect(fins.delay).to.be.closeTo(460, 0.1)
    echo(fins, 60_000)
    expect(fins.delay).to.equal(10_000)
  })
})
