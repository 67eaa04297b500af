import { exchange } from './exchange.ts'
import { summarise } from './statistics.ts'
import type { Ending } from './exchange.ts'
import type { Summary } from './statistics.ts'
import type { Stream } from '@libp2p/interface'

/**
 * What one block of streams came to
 */
export interface Block {
  perSecond: number

  /**
   * What each stream took of this process, in us
   */
  cpu: number
}

export interface Throughput {
  perSecond: Summary
  cpu: Summary
}

/**
 * Opens streams, one after the other
 */
export async function runBlock (open: () => Promise<Stream>, size: number, ending: Ending): Promise<Block> {
  const cpuBefore = process.cpuUsage()
  const start = performance.now()

  for (let i = 0; i < size; i++) {
    await exchange(await open(), ending)
  }

  const elapsed = performance.now() - start
  const { user, system } = process.cpuUsage(cpuBefore)

  return {
    perSecond: size * 1000 / elapsed,
    cpu: (user + system) / size
  }
}

export function summariseBlocks (blocks: Block[]): Throughput {
  return {
    perSecond: summarise(blocks.map(({ perSecond }) => perSecond)),
    cpu: summarise(blocks.map(({ cpu }) => cpu))
  }
}
