import { AbortError } from '@libp2p/interface'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { raceSignal } from 'race-signal'
import { exchangeTimed } from '../../test/support/exchange.ts'
import { ECHO, readAll } from '../../test/support/streams.ts'
import { settledHeap } from '../parts/memory.ts'
import { print } from '../parts/print.ts'
import { HEAP, KILL } from '../parts/soak-protocols.ts'
import { slopeOf } from '../parts/statistics.ts'
import { number, printTable } from '../parts/table.ts'
import { TRANSPORTS } from '../parts/transports.ts'
import { withChild } from '../parts/with-child.ts'
import { withDialer } from '../parts/with-dialer.ts'
import type { Recorder } from '../parts/recorder.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'
import type { Transport } from '../parts/transports.ts'
import type { Dialer } from '../parts/with-dialer.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * The connection is killed once in each block
 */
const BLOCKS: Record<typeof TRANSPORTS[number], number> = { tcp: 50, quic: 20 }

const IN_FLIGHT = 32

/**
 * A block takes some seconds. One that takes longer than this hangs.
 */
const BLOCK_TIMEOUT_MS = 300_000

/**
 * What is kept of a stream for ever would be 100 bytes or more
 */
const MOST_BYTES_PER_OPEN = 2

/**
 * Opens streams with `dialProtocol`, as a program does that knows nothing of this package:
 * each until it is answered. It may fail only where the connection was killed meanwhile.
 */
class Opens {
  /**
   * How many failed, by their error
   */
  readonly failed: Record<string, number> = {}

  #kills = 0
  #closed = 0
  readonly #dialer: Dialer
  readonly #addr: Multiaddr

  constructor (dialer: Dialer, addr: Multiaddr) {
    this.#dialer = dialer
    this.#addr = addr

    dialer.addEventListener('connection:close', () => { this.#closed++ })
  }

  async block (size: number): Promise<void> {
    let left = size

    await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
      while (left > 0) {
        left--

        await Promise.all([
          this.#untilAnswered(),
          ...(left === size / 2 ? [this.#kill()] : [])
        ])
      }
    }))
  }

  async #untilAnswered (): Promise<void> {
    for (let isAnswered = false; !isAnswered;) {
      const closed = this.#closed

      try {
        await exchangeTimed(await this.#dialer.dialProtocol(this.#addr, ECHO), 'closed at both ends')
        isAnswered = true
      } catch (err: any) {
        if (this.#kills === closed) {
          throw err
        }

        const error = err.name === 'Error' ? err.message : err.name
        this.failed[error] = (this.failed[error] ?? 0) + 1

        // the muxer may have been closed before its connection, which cannot be as long as
        // this goes on in microtasks
        await nextTurn()
      }
    }
  }

  /**
   * By this node and by the other one in turn
   */
  async #kill (): Promise<void> {
    const [connection] = this.#dialer.getConnections()

    if (connection == null) {
      throw new Error('There is no connection to kill')
    }

    if (this.#kills++ % 2 === 0) {
      connection.abort(new AbortError('Killed'))
    } else {
      // it can only fail, that is what it is for
      await connection.newStream(KILL).then(readAll).catch(() => {})
    }
  }
}

async function heapOfListener (dialer: Dialer, addr: Multiaddr): Promise<number> {
  return Number(Buffer.from(await readAll(await dialer.dialProtocol(addr, HEAP))).toString())
}

async function measure (transport: Transport, blocks: number, size: number, recorder: Recorder): Promise<Target[]> {
  const heaps: Record<'dialer' | 'listener', number[]> = { dialer: [], listener: [] }
  const times: number[] = []
  let failed: Opens['failed'] = {}

  await withChild<string, void>('./soak-listener.ts', [transport], async address => withDialer(async dialer => {
    const addr = multiaddr(address)
    const opens = new Opens(dialer, addr)
    failed = opens.failed

    for (let i = 0; i < blocks; i++) {
      const start = performance.now()
      await raceSignal(opens.block(size), AbortSignal.timeout(BLOCK_TIMEOUT_MS), {
        translateError: () => new Error(`A block over ${transport} hangs`)
      })

      times.push((performance.now() - start) * 1000 / size)
      heaps.dialer.push(await settledHeap())
      heaps.listener.push(await heapOfListener(dialer, addr))

      if ((i + 1) % 10 === 0) {
        print(`${number((i + 1) * size)} opens over ${transport}, ${i + 1} kills ...`)
      }
    }
  }, {}, { intercept: true }))

  recorder.add('time per open', 'us', { transport, 'opens in a block': size }, times)

  for (const [end, heap] of Object.entries(heaps)) {
    recorder.add('heap after each block', 'bytes', { transport, end, 'opens in a block': size }, heap)
  }

  for (const [error, count] of Object.entries(failed)) {
    recorder.add('failed when the connection was killed', 'streams', { transport, error }, [count])
  }

  print(`All ${number(blocks * size)} over ${transport} were answered, those that were on a killed connection when they were opened again: ${Object.entries(failed).map(([error, count]) => `${error} (${number(count)})`).join(', ')}`)
  printTable(['after opens', 'us per open', 'heap of the dialer, MiB', 'of the listener'], [0, 0.25, 0.5, 0.75, 1].map(part => {
    const i = Math.max(0, Math.round(part * blocks) - 1)

    return [number((i + 1) * size), number(times[i] ?? NaN), number((heaps.dialer[i] ?? NaN) / 2 ** 20, 2), number((heaps.listener[i] ?? NaN) / 2 ** 20, 2)]
  }))

  return Object.entries(heaps).map(([end, heap]) => ({
    name: `bytes that the heap of the ${end} grows by with each open over ${transport}, in the second half`,
    // code is compiled and caches are filled at first
    value: slopeOf(heap.slice(blocks / 2).map(heap => heap / size)),
    atMost: MOST_BYTES_PER_OPEN
  }))
}

export const soak: Scenario = {
  name: 'soak',
  about: 'The heap of both ends while 500,000 streams are opened over tcp and 200,000 over quic, with intercept, 32 at a time, to a guarded listener. The connection is killed every 10,000 opens, each has to be answered in the end. With --long ten times as many.',

  async run ({ quick, long, recorder }) {
    const targets: Target[] = []

    for (const transport of TRANSPORTS) {
      targets.push(...await measure(transport, BLOCKS[transport] * (long ? 10 : 1), quick ? 400 : 10_000, recorder))
    }

    // so few opens are too few to see so little
    return quick ? [] : targets
  }
}
