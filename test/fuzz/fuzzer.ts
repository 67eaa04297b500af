import type fc from 'fast-check'

/**
 * What is set up once and plays many cases
 */
export interface Session<Case> {
  /**
   * Throws if something that the README promises does not hold
   */
  play(input: Case): Promise<void>

  /**
   * Throws if something is left after all cases
   */
  stop(): Promise<void>
}

export interface Fuzzer<Case = any> {
  name: string

  /**
   * A sentence
   */
  about: string
  cases: fc.Arbitrary<Case>

  /**
   * How many cases `npm run fuzz` and `npm run test:soak` play, about half a minute;
   * `npm test` plays a few of them
   */
  long: number

  start(): Promise<Session<Case>>
}
