import { exchangeTimed } from '../../test/support/exchange.ts'
import { summarise } from './statistics.ts'
import type { Ending } from '../../test/support/exchange.ts'
import type { Summary } from './statistics.ts'
import type { Stream } from '@libp2p/interface'

/**
 * What one block of streams came to, for each of them in us
 */
export interface Block {
  time: number

  /**
   * What it took of this process
   */
  cpu: number
}

export interface BlockInit {
  /**
   * How many streams are opened between two looks at the clock
   */
  size: number

  ending: Ending

  /**
   * How many streams are open at a time
   *
   * @default 1
   */
  inFlight?: number
}

/**
 * Opens streams, has an echo on each and closes it
 */
export async function runBlock (open: () => Promise<Stream>, { size, ending, inFlight = 1 }: BlockInit): Promise<Block> {
  return perOperation(size, async () => {
    let left = size

    await Promise.all(Array.from({ length: inFlight }, async () => {
      while (left-- > 0) {
        await exchangeTimed(await open(), ending)
      }
    }))
  })
}

/**
 * What the function takes, divided by so many
 */
export async function perOperation (operations: number, fn: () => Promise<void>): Promise<Block> {
  const cpuBefore = process.cpuUsage()
  const start = performance.now()

  await fn()

  const elapsed = performance.now() - start
  const { user, system } = process.cpuUsage(cpuBefore)

  return {
    time: elapsed * 1000 / operations,
    cpu: (user + system) / operations
  }
}

export interface Throughput {
  perSecond: Summary
  cpu: Summary
}

export function summariseBlocks (blocks: Block[]): Throughput {
  return {
    perSecond: summarise(blocks.map(({ time }) => 1_000_000 / time)),
    cpu: summarise(blocks.map(({ cpu }) => cpu))
  }
}
