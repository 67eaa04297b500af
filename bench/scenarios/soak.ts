import { ECHO } from '../../test/support/streams.ts'
import { settledHeap } from '../parts/memory.ts'
import { print } from '../parts/print.ts'
import { slopeOf } from '../parts/statistics.ts'
import { number, printTable } from '../parts/table.ts'
import { runBlock } from '../parts/throughput.ts'
import { withConnection } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { BlockInit } from '../parts/throughput.ts'

const BLOCKS = 50

/**
 * What is kept of a stream for ever would be 100 bytes or more
 */
const MOST_BYTES_PER_OPEN = 2

export const soak: Scenario = {
  name: 'soak',
  about: 'The heap after 500,000 opens on one connection over tcp, 32 at a time, each time after all garbage was collected, on loopback',

  async run ({ quick, recorder }) {
    const block: BlockInit = { size: quick ? 400 : 10_000, ending: 'closed at both ends', inFlight: 32 }
    const heaps: number[] = []
    const times: number[] = []

    await withListener('tcp', async addresses => withConnection(addresses[0], async (dialer, connection) => {
      for (let i = 0; i < BLOCKS; i++) {
        const { time } = await runBlock(async () => dialer.services.streamOpener.newStreamOn(connection, ECHO), block)

        times.push(time)
        heaps.push(await settledHeap())

        if ((i + 1) % 10 === 0) {
          print(`${number((i + 1) * block.size)} opens ...`)
        }
      }
    }))

    const labels = { transport: 'tcp', 'opens in a block': block.size }
    recorder.add('heap after each block', 'bytes', labels, heaps)
    recorder.add('time per open', 'us', labels, times)

    // code is compiled and caches are filled at first
    const later = heaps.slice(BLOCKS / 2)
    const slope = slopeOf(later.map(heap => heap / block.size))

    printTable(['after opens', '', 'heap, MiB', 'us per open'], [0, 0.25, 0.5, 0.75, 1].map(part => {
      const i = Math.max(0, Math.round(part * BLOCKS) - 1)

      return [number((i + 1) * block.size), '', number((heaps[i] ?? NaN) / 2 ** 20, 2), number(times[i] ?? NaN)]
    }))

    // 10,000 opens are too few to see so little
    return quick ? [] : [{ name: 'bytes that the heap grows by with each open, in the second half', value: slope, atMost: MOST_BYTES_PER_OPEN }]
  }
}
