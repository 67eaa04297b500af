import { setMaxListeners } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { median, quantile } from 'simple-statistics'
import { ECHO } from '../../test/support/streams.ts'
import { connectAll } from '../parts/connect-all.ts'
import { timeExchange } from '../../test/support/exchange.ts'
import { collectGarbage } from '../../test/support/gc.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { pairedRatioOf } from '../parts/statistics.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { withChild } from '../parts/with-child.ts'
import { withDialer } from '../parts/with-dialer.ts'
import type { OpenStreamOnOptions } from '../../src/index.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Dialer } from '../parts/with-dialer.ts'
import type { Connection } from '@libp2p/interface'

const HEALTHY_PEERS = 8
const STALLED_OPENS = 1000

const BLOCK_SIZE = 1000

interface Neighbour {
  options: OpenStreamOnOptions

  /**
   * Whether it has been asked by the time that the others are, and still is
   */
  stalls: boolean
}

/**
 * How the peer that never answers is asked. Where it is not, it was just before, or
 * those blocks would start with a process that has been idle.
 */
const NEIGHBOURS: Record<string, Neighbour> = {
  'not asked': { options: {}, stalls: false },
  '32 handshakes, the rest wait': { options: {}, stalls: true },
  '900 handshakes, the rest wait': { options: { maxOutboundStreams: 900 }, stalls: true }
}

/**
 * Opens streams to each of the healthy peers, to all of them at the same time and
 * to each one after the other, and has their times until the answer
 */
async function runBlock (dialer: Dialer, healthy: Connection[]): Promise<number[]> {
  const times: number[] = []

  await Promise.all(healthy.map(async ({ remotePeer }) => {
    for (let i = 0; i < BLOCK_SIZE / HEALTHY_PEERS; i++) {
      const { firstByte } = await timeExchange(async () => dialer.services.streamOpener.newStream(remotePeer, ECHO))

      times.push(firstByte)
    }
  }))

  return times
}

async function beside (dialer: Dialer, connection: Connection, { options, stalls }: Neighbour, fn: () => Promise<number[]>): Promise<number[]> {
  const { streamOpener } = dialer.services
  const controller = new AbortController()
  const { signal } = controller
  setMaxListeners(Infinity, signal)

  const opens = Array.from({ length: STALLED_OPENS }, async () => {
    const stream = await streamOpener.newStreamOn(connection, ECHO, { ...options, negotiationTimeout: 600_000, queueTimeout: 600_000, signal })

    signal.addEventListener('abort', () => { stream.abort(signal.reason) })
    stream.send(new Uint8Array(32))
  })

  async function abort (): Promise<void> {
    controller.abort()
    await Promise.allSettled(opens)
    await delay(30)
  }

  await delay(50)
  const { open, queued } = streamOpener.status(connection.remotePeer)

  if (open + queued !== STALLED_OPENS) {
    throw new Error(`${open} streams are open and ${queued} calls wait`)
  }

  if (!stalls) {
    await abort()
  }

  // or one would pay for what another one has left behind
  collectGarbage()

  const times = await fn()

  if (stalls) {
    await abort()
  }

  return times
}

async function measure (healthy: string[], stalled: string, init: InterleaveInit): Promise<Record<string, number[][]>> {
  return withDialer(async dialer => {
    const connections = (await connectAll(dialer, healthy)).map(({ connection }) => connection)
    const [neighbour] = (await connectAll(dialer, [stalled])).map(({ connection }) => connection)

    return interleave(Object.fromEntries(Object.entries(NEIGHBOURS).map(([name, init]) => {
      return [name, async () => beside(dialer, neighbour as Connection, init, async () => runBlock(dialer, connections))]
    })), init)
  })
}

function p99 (times: number[]): number {
  return quantile(times, 0.99)
}

export const stalledNeighbour: Scenario = {
  name: 'stalled-neighbour',
  about: `Opening streams to ${HEALTHY_PEERS} peers while ${number(STALLED_OPENS)} calls hang that open streams to another one that never answers, on loopback`,

  async run ({ quick, recorder }) {
    print('measuring over tcp ...')

    const blocks = await withChild('./crowd.ts', [`${HEALTHY_PEERS}`], async (healthy: string[]) => {
      return withChild('./silent-listener.ts', [], async (stalled: string) => measure(healthy, stalled, { warmUp: 2, rounds: quick ? 5 : 20 }))
    })
    const [without, ...others] = Object.entries(blocks).map(([name, samples]) => ({
      name,
      all: recorder.add('time to the answer, median of a block', 'ms', { 'the silent peer': name }, samples.map(median)),
      p99: recorder.add('time to the answer, p99 of a block', 'ms', { 'the silent peer': name }, samples.map(p99)),
      ratio: pairedRatioOf(samples.map(p99), (blocks['not asked'] ?? []).map(p99))
    }))

    printTable(
      ['the silent peer', 'transport', 'ms to answer', `p99 of each ${number(BLOCK_SIZE)} opens`, 'to that without, next to it (95% of draws)'],
      [without, ...others].flatMap(result => result == null ? [] : [[result.name, 'tcp', spread(result.all, 2), spread(result.p99, 2), spread(result.ratio, 3)]])
    )

    return others.map(({ name, ratio }) => ({ name: `p99 of opens to healthy peers beside one that is silent (${name}) to that without`, value: ratio, atMost: 1.1 }))
  }
}
