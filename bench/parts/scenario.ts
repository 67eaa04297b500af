import type { Target } from './targets.ts'

export interface Scenario {
  name: string
  about: string

  /**
   * Prints what it measures - with `quick` it takes fewer samples, so that the
   * figures are less certain
   */
  run(init: { quick: boolean }): Promise<Target[]>
}
