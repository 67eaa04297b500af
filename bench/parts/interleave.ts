export type Variants = Record<string, () => Promise<unknown>>

export type Samples<V extends Variants> = { [Name in keyof V]: Array<Awaited<ReturnType<V[Name]>>> }

export interface InterleaveInit {
  /**
   * Rounds whose samples are thrown away, until the code is compiled
   */
  warmUp: number

  rounds: number
}

/**
 * Takes one sample of each variant in every round, so that whatever else the
 * machine is doing happens to all of them. Every other round goes backwards, or
 * each variant would always pay for what the same one has left behind.
 */
export async function interleave <V extends Variants> (variants: V, { warmUp, rounds }: InterleaveInit): Promise<Samples<V>> {
  const names: Array<keyof V> = Object.keys(variants)
  const samples: Record<keyof V, unknown[]> = Object.fromEntries(names.map(name => [name, []])) as any

  for (let round = 0; round < warmUp + rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const sample = await variants[name]?.()

      if (round >= warmUp) {
        samples[name].push(sample)
      }
    }
  }

  return samples as Samples<V>
}
