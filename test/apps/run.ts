/**
 * A program runs without the service, with it at the dialer, and with it at all nodes,
 * on loopback and over links that take a while, and has the same result each time
 */
import { quic } from '@chainsafe/libp2p-quic'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { streamOpener } from 'libp2p-stream-opener'
import { pEvent } from 'p-event'
import { raceSignal } from 'race-signal'
import { expect } from 'vitest'
import { createRelay } from '../support/relay.ts'
import type { Relay } from '../support/relay.ts'
import type { Connection, IdentifyResult, Libp2p } from '@libp2p/interface'
import type { Libp2pOptions } from 'libp2p'

const WAYS = ['without it', 'at the dialer', 'at all nodes'] as const

type Way = typeof WAYS[number]

/**
 * The one that has the service where just the dialer has it, and the others
 */
export type Role = 'dialer' | 'other'

/**
 * Of the links, in ms
 */
const ROUND_TRIP = 50

/**
 * For one run of a program, in ms. What hangs is to say where.
 */
const TIMEOUT = 30_000

const LISTEN = {
  tcp: '/ip4/127.0.0.1/tcp/0',
  quic: '/ip4/127.0.0.1/udp/0/quic-v1'
}

export type TransportName = keyof typeof LISTEN

export const TRANSPORTS: TransportName[] = ['tcp', 'quic']

/**
 * What a program may use
 */
export class Run {
  readonly #way: Way
  readonly #roundTrip: number
  readonly #relays = new Map<string, Relay>()
  readonly #stops: Array<() => Promise<unknown>> = []

  /**
   * How long that took which the program had timed, in ms
   */
  took = 0

  constructor (way: Way, roundTrip: number) {
    this.#way = way
    this.#roundTrip = roundTrip
  }

  /**
   * Whether the dialer has it
   */
  get hasService (): boolean {
    return this.#way !== 'without it'
  }

  /**
   * Options of a node. What it has says of its addresses is that of the links to it.
   */
  options (role: Role, services: Record<string, (components: any) => unknown>, transport: TransportName = 'tcp', more: Partial<Libp2pOptions<any>> = {}): Libp2pOptions<any> {
    const hasService = this.#way === 'at all nodes' || (this.#way === 'at the dialer' && role === 'dialer')

    return {
      addresses: {
        listen: [LISTEN[transport]],
        announceFilter: addrs => addrs.map(addr => this.#relays.get(addr.toString())?.addr ?? addr)
      },
      transports: [tcp(), quic()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionManager: {
        inboundConnectionThreshold: Infinity,
        maxIncomingPendingConnections: Infinity,
        reconnectRetries: 0
      },
      connectionMonitor: {
        enabled: false
      },
      ...more,
      services: {
        identify: identify(),
        ...services,
        ...more.services,
        ...hasService ? { streamOpener: streamOpener({ intercept: true }) } : {}
      }
    }
  }

  /**
   * A node that others reach by a link. One that dials is stopped before those it has
   * dialled, so it has to be the last one.
   */
  async node (...args: Parameters<Run['options']>): Promise<Libp2p<any>> {
    const node = await createLibp2p(this.options(...args))
    this.onEnd(async () => node.stop())
    await this.link(node)

    return node
  }

  /**
   * Puts a link in front of a node that was made with these options
   */
  async link (node: Libp2p<any>): Promise<void> {
    if (this.#roundTrip === 0) {
      return
    }

    for (const addr of node.getMultiaddrs()) {
      const relay = await createRelay(addr, { delay: this.#roundTrip / 2 })
      this.#relays.set(addr.toString(), relay)
    }
  }

  /**
   * What is called last is done first
   */
  onEnd (stop: () => Promise<unknown>): void {
    this.#stops.unshift(stop)
  }

  /**
   * Times what the program is about
   */
  async time <T> (fn: () => Promise<T>): Promise<T> {
    const start = performance.now()

    try {
      return await fn()
    } finally {
      this.took += performance.now() - start
    }
  }

  async stop (): Promise<void> {
    for (const stop of this.#stops) {
      await stop()
    }

    await Promise.all([...this.#relays.values()].map(async relay => relay.close()))
  }
}

async function runOnce <T> (program: (run: Run) => Promise<T>, way: Way, roundTrip: number): Promise<{ result: T, took: number }> {
  const run = new Run(way, roundTrip)

  try {
    const result = await raceSignal(program(run), AbortSignal.timeout(TIMEOUT))

    return { result, took: run.took }
  } catch (cause) {
    throw new Error(`${way}, ${roundTrip} ms away`, { cause })
  } finally {
    await run.stop()
  }
}

/**
 * Where a program runs, by the round trip: what takes long only runs over links
 */
const EVERYWHERE = [0, ROUND_TRIP]
export const OVER_LINKS = [ROUND_TRIP]

/**
 * Demands that the program has the same result everywhere, which it returns, and
 * prints how long it took over the links
 */
export async function runEverywhere <T> (name: string, program: (run: Run) => Promise<T>, roundTrips = EVERYWHERE): Promise<T> {
  const times: number[] = []
  const results: T[] = []

  for (const roundTrip of roundTrips) {
    for (const way of WAYS) {
      const { result, took } = await runOnce(program, way, roundTrip)

      results.push(result)

      if (roundTrip > 0) {
        times.push(took)
      }
    }
  }

  for (const result of results) {
    expect(result).toEqual(results[0])
  }

  const [stock = 0, ...ours] = times
  const ratios = ours.map((took, i) => `${(took / stock).toFixed(2)} × ${WAYS[i + 1]}`)
  process.stdout.write(`${name}: ${stock.toFixed(0)} ms over ${ROUND_TRIP} ms, ${ratios.join(', ')}\n`)

  return results[0] as T
}

/**
 * Connects the dialer to a node, and waits until each end knows what the other one
 * speaks. Where identify does not run by itself, both ask for it.
 */
export async function connect (dialer: Libp2p<any>, node: Libp2p<any>, isByHand = false): Promise<Connection> {
  const [connection] = await Promise.all([
    dialer.dial(node.getMultiaddrs()),
    identified(dialer, node, isByHand),
    identified(node, dialer, isByHand)
  ])

  return connection
}

async function identified (node: Libp2p<any>, peer: Libp2p, isByHand: boolean): Promise<void> {
  const filter = ({ detail: { remotePeer } }: CustomEvent<Connection>): boolean => remotePeer.equals(peer.peerId)

  if (isByHand) {
    const evt = await pEvent<'connection:open', CustomEvent<Connection>>(node as any, 'connection:open', { filter })
    await node.services.identify.identify(evt.detail)
  } else {
    await pEvent<'peer:identify', CustomEvent<IdentifyResult>>(node as any, 'peer:identify', {
      filter: evt => evt.detail.peerId.equals(peer.peerId)
    })
  }
}
