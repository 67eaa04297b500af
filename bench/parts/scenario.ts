import type { Recorder } from './recorder.ts'
import type { Target } from './targets.ts'

export interface ScenarioInit {
  /**
   * Take fewer samples, so that the figures are less certain
   */
  quick: boolean

  /**
   * Take as many samples as hours allow, where that shows something
   */
  long: boolean

  /**
   * Takes all raw samples
   */
  recorder: Recorder
}

export interface Scenario {
  name: string
  about: string

  /**
   * Prints what it measures
   */
  run(init: ScenarioInit): Promise<Target[]>
}
