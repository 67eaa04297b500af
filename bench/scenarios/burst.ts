import { setTimeout as delay } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { quantile } from 'simple-statistics'
import { ECHO } from '../../test/support/streams.ts'
import { exchangeTimed } from '../../test/support/exchange.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { TRANSPORTS } from '../parts/transports.ts'
import { withChild } from '../parts/with-child.ts'
import { withConnection } from '../parts/with-dialer.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Summary } from '../parts/statistics.ts'
import type { Target } from '../parts/targets.ts'
import type { Dialer } from '../parts/with-dialer.ts'
import type { PeerId, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const OPENERS = ['dialProtocol', 'newStream'] as const

/**
 * What is not over when nothing else has been for so long has failed, in ms: stock
 * streams over QUIC can hang for ever
 */
const PATIENCE = 3000

/**
 * A host may open 5 connections in a second
 */
const BETWEEN_BURSTS = 250

interface Burst {
  failed: number

  /**
   * Those that succeeded, until the last one did
   */
  perSecond: number

  /**
   * From when all of them were started until the answer, in ms
   */
  p50: number
  p99: number
}

async function runBurst (open: () => Promise<Stream>, size: number): Promise<Burst> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const answers: number[] = []
  const start = performance.now()
  let end = start
  const timer = setTimeout(() => { reject(new Error('It is not over')) }, PATIENCE)

  await Promise.allSettled(Array.from({ length: size }, async () => {
    const answeredAt = await Promise.race([late, open().then(async stream => exchangeTimed(stream, 'closed at both ends'))])

    answers.push(answeredAt - start)
    end = performance.now()
    timer.refresh()
  }))

  clearTimeout(timer)

  return {
    failed: size - answers.length,
    perSecond: answers.length * 1000 / (end - start),
    p50: quantile(answers, 0.5),
    p99: quantile(answers, 0.99)
  }
}

/**
 * On a connection of its own: streams of stock bursts that failed are still being
 * reset
 */
async function burstTo (addr: Multiaddr, size: number, open: (dialer: Dialer, peer: PeerId) => Promise<Stream>): Promise<Burst> {
  await delay(BETWEEN_BURSTS)

  return withConnection(addr, async (dialer, { remotePeer }) => runBurst(async () => open(dialer, remotePeer), size))
}

export const burst: Scenario = {
  name: 'burst',
  about: 'Many streams at once to a listener with default limits, an echo of 32 bytes on each and closing it, on loopback',

  async run ({ quick, recorder }) {
    const sizes: Array<{ size: number } & InterleaveInit> = [
      { size: 1, warmUp: quick ? 1 : 3, rounds: quick ? 3 : 12 },
      { size: 10, warmUp: quick ? 0 : 1, rounds: quick ? 3 : 8 },
      { size: 100, warmUp: quick ? 0 : 1, rounds: quick ? 2 : 5 },
      { size: 1000, warmUp: 0, rounds: quick ? 1 : 3 },
      { size: 10_000, warmUp: 0, rounds: 1 }
    ]
    const targets: Target[] = []
    const rows: string[][] = []

    for (const transport of TRANSPORTS) {
      await withChild('./default-listener.ts', [transport], async (addr: string) => {
        for (const { size, ...init } of sizes) {
          print(`measuring over ${transport}, ${number(size)} at once ...`)

          const bursts = await interleave({
            dialProtocol: async () => burstTo(multiaddr(addr), size, async (dialer, peer) => dialer.dialProtocol(peer, ECHO)),
            newStream: async () => burstTo(multiaddr(addr), size, async (dialer, peer) => dialer.services.streamOpener.newStream(peer, ECHO))
          }, init)

          for (const opener of OPENERS) {
            const add = (figure: keyof Burst, name: string, unit: string): Summary => {
              return recorder.add(name, unit, { transport, 'at once': size, 'opened by': opener }, bursts[opener].map(burst => burst[figure]))
            }

            rows.push([
              transport,
              opener,
              number(size),
              spread(add('failed', 'streams that failed', 'streams')),
              spread(add('perSecond', 'opens per second', 'opens/s')),
              spread(add('p50', 'time to the answer, p50', 'ms'), 1),
              spread(add('p99', 'time to the answer, p99', 'ms'), 1)
            ])
          }

          targets.push({ name: `failures of newStream in any burst of ${number(size)} over ${transport}`, value: Math.max(...bursts.newStream.map(({ failed }) => failed)), atMost: 0 })
        }
      })
    }

    printTable(['transport', 'opened by', 'at once', 'failed', 'opens/s', 'ms to answer, p50', 'p99'], rows)

    return targets
  }
}
