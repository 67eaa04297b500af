import { noise } from '@libp2p/noise'
import { tls } from '@libp2p/tls'
import { tls as socketTls } from '../../src/tls/index.ts'
import { timeEcho, timeExchange } from '../../test/support/exchange.ts'
import { PROTOCOLS } from '../../test/support/peer-protocols.ts'
import { ECHO } from '../../test/support/streams.ts'
import { withGoPeer } from '../parts/go-peer.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { ratioOf } from '../parts/statistics.ts'
import { number, printTable, spread } from '../parts/table.ts'
import { ALL_TRANSPORTS } from '../parts/transports.ts'
import { remember } from '../parts/ways.ts'
import { withDialer } from '../parts/with-dialer.ts'
import { withListener } from '../parts/with-listener.ts'
import type { StreamOpenerInit } from '../../src/index.ts'
import type { NodeInit } from '../../test/support/nodes.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'
import type { Transport } from '../parts/transports.ts'
import type { Dialer } from '../parts/with-dialer.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * - `dial`: the node has never met the peer
 * - `reconnect`: it has
 */
const KINDS = ['dial', 'reconnect'] as const

type Kind = typeof KINDS[number]

const ENCRYPTERS: Record<string, NodeInit> = {
  noise: { connectionEncrypters: [noise()] },
  tls: { connectionEncrypters: [tls()] },
  'tls on the socket': { connectionEncrypters: [socketTls()] }
}

const QUIC_ONLY: Record<string, NodeInit> = { 'of QUIC': {} }

/**
 * What opens the stream: stock does with `connection.newStream`
 */
const OPENERS = {
  stock: {},
  newStream: {},
  resume: { resume: true },
  always: { negotiation: 'always' }
} satisfies Record<string, StreamOpenerInit>

type Opener = keyof typeof OPENERS

/**
 * In ms, from dialing
 */
interface Sample {
  dial: number
  firstByte: number
}

/**
 * In round trips without the connect of TCP, to a js-libp2p and a go-libp2p listener
 */
const MAX_RESUMED = { dial: 1.25, firstByte: 2.45 }

const OPENERS_OF: Record<Kind, Opener[]> = {
  dial: ['stock', 'newStream', 'always'],
  reconnect: ['stock', 'newStream', 'resume', 'always']
}

async function timeFirst (dialer: Dialer, opener: Opener, addr: Multiaddr, protocol: string): Promise<Sample> {
  const start = performance.now()
  const connection = await dialer.dial(addr)
  const dial = performance.now() - start
  const { firstByte } = await timeExchange(async () => opener === 'stock' ? connection.newStream(protocol) : dialer.services.streamOpener.newStreamOn(connection, protocol))

  return { dial, firstByte: dial + firstByte }
}

/**
 * Each sample of a dial has a node of its own, the reconnects of an opener share one
 */
async function measure (kind: Kind, addr: Multiaddr, protocol: string, node: NodeInit, init: InterleaveInit): Promise<Partial<Record<Opener, Sample[]>>> {
  const openers = OPENERS_OF[kind]

  async function run (dialers: Dialer[]): Promise<Partial<Record<Opener, Sample[]>>> {
    const samplers = openers.map((opener, i) => [opener, async () => {
      const dialer = dialers[i]

      if (dialer == null) {
        return withDialer(async dialer => timeFirst(dialer, opener, addr, protocol), node, OPENERS[opener])
      }

      await Promise.all(dialer.getPeers().map(async peer => dialer.hangUp(peer)))

      return timeFirst(dialer, opener, addr, protocol)
    }])

    return interleave(Object.fromEntries(samplers), init)
  }

  async function withDialers (left: Opener[], dialers: Dialer[]): Promise<Partial<Record<Opener, Sample[]>>> {
    const [opener, ...others] = left

    return opener == null
      ? run(dialers)
      : withDialer(async dialer => {
        await (opener === 'resume' ? remember(dialer, addr) : dialer.dial(addr))

        return withDialers(others, [...dialers, dialer])
      }, node, OPENERS[opener])
  }

  return kind === 'dial' ? run([]) : withDialers(openers, [])
}

/**
 * How long an answer takes on a stream that is open
 */
async function timeLink (addr: Multiaddr, protocol: string): Promise<number[]> {
  return withDialer(async dialer => {
    const stream = await dialer.dialProtocol(addr, protocol)
    const times: number[] = []

    for (let i = 0; i < 12; i++) {
      times.push(await timeEcho(stream))
    }

    return times
  })
}

export const firstStream: Scenario = {
  name: 'first-stream',
  about: 'From dialing a peer until the connection is there, and to the first byte of the answer on the first stream, after a first dial and after a reconnect',

  async run ({ quick, recorder }) {
    const paths = [
      { roundTrip: 50, init: { warmUp: 2, rounds: quick ? 6 : 14 } },
      { roundTrip: 0, init: { warmUp: 10, rounds: quick ? 20 : 120 } }
    ] as const
    const targets: Target[] = []
    const rows: string[][] = []

    async function measureTo (transport: Transport, listener: string, protocol: string, addr: Multiaddr, roundTrip: number, init: InterleaveInit): Promise<void> {
      const link = await timeLink(addr, protocol)

      for (const [encrypter, node] of Object.entries(transport === 'quic' ? QUIC_ONLY : ENCRYPTERS)) {
        for (const kind of KINDS) {
          const path = `${transport}, ${encrypter}, ${kind}, ${listener} listener, ${roundTrip} ms away`
          print(`measuring over ${path} ...`)

          const samples = await measure(kind, addr, protocol, node, init)
          const timesOf = (opener: Opener, figure: keyof Sample): number[] => samples[opener]?.map(sample => sample[figure]) ?? []

          for (const opener of OPENERS_OF[kind]) {
            const labels = { transport, encrypter, listener, 'round trip, ms': roundTrip, after: kind, 'opened by': opener }
            const [dial, firstByte] = (['dial', 'firstByte'] as const).map(figure => ratioOf(timesOf(opener, figure), link))

            rows.push([
              `${transport}, ${encrypter}, ${listener}`, `${kind}, ${opener}`, `${roundTrip}`,
              spread(recorder.add('time to the connection', 'ms', labels, timesOf(opener, 'dial')), 1),
              spread(recorder.add('time to the first byte', 'ms', labels, timesOf(opener, 'firstByte')), 1),
              // on loopback it is the time that it takes to compute
              ...roundTrip === 0 || dial == null || firstByte == null ? ['', ''] : [number(dial.median, 2), number(firstByte.median, 2)]
            ])

            if (opener === 'stock') {
              continue
            }

            targets.push({ name: `first stream of ${opener} to that of stock over ${path}`, value: ratioOf(timesOf(opener, 'firstByte'), timesOf('stock', 'firstByte')), atMost: 1.03 })

            if (opener === 'resume' && transport === 'tcp' && roundTrip > 0 && dial != null && firstByte != null) {
              targets.push({ name: `round trips of a resumed dial over ${path}`, value: dial, atMost: MAX_RESUMED.dial })
              targets.push({ name: `round trips of a resumed dial and the first answer over ${path}`, value: firstByte, atMost: MAX_RESUMED.firstByte })
            }
          }
        }
      }
    }

    for (const transport of ALL_TRANSPORTS) {
      await withListener(transport, async addresses => {
        for (const { roundTrip, init } of paths) {
          await measureTo(transport, 'js', ECHO, addresses[roundTrip], roundTrip, init)
        }
      })
      await withGoPeer(transport, async addresses => measureTo(transport, 'go', PROTOCOLS.echo, addresses[paths[0].roundTrip], paths[0].roundTrip, paths[0].init))
    }

    printTable(['path', 'after, opened by', 'link, ms', 'dial, ms', 'first byte, ms', 'dial, round trips', 'first byte'], rows)

    return targets
  }
}
