/**
 * Nodes of every kind, connected over one transport: programs run on each of them
 */
import { mplex } from '@libp2p/mplex'
import { yamux } from '@libp2p/yamux'
import { streamOpener } from '../../src/index.ts'
import { addressOf, createOpenerNode, createStockNode, stopNodes } from '../support/nodes.ts'
import { createRelay } from '../support/relay.ts'
import { listenElsewhere } from './elsewhere.ts'
import { Side } from './side.ts'
import type { Answer } from './request.ts'
import type { How } from './side.ts'
import type { NodeInit, TestServices, TransportName } from '../support/nodes.ts'
import type { Relay } from '../support/relay.ts'
import type { Libp2p } from '@libp2p/interface'

export type Muxer = 'yamux' | 'mplex'

/**
 * Where programs run
 */
export const WORLDS: Array<[TransportName, Muxer]> = [
  ['tcp', 'yamux'],
  ['quic', 'yamux'],
  ['ws', 'yamux'],
  ['memory', 'yamux'],
  ['tcp', 'mplex'],
  ['ws', 'mplex'],
  ['memory', 'mplex']
]

/**
 * So that samples of the same cases are others in each world
 */
export function placeOf (transport: TransportName, muxer: Muxer): number {
  return WORLDS.findIndex(([name, ofMuxer]) => name === transport && ofMuxer === muxer)
}

// it takes no more than 5 streams a second by default
const MUXERS = { yamux: yamux(), mplex: mplex({ disconnectThreshold: Infinity }) }

export interface World {
  transport: TransportName
  listeners: Array<Libp2p<TestServices>>
  stock: Side
  ours: Side[]
  stop(): Promise<void>
}

async function createDialer (how: How, init: NodeInit): Promise<Libp2p<TestServices>> {
  switch (how) {
    case 'stock': return createStockNode(undefined, init)
    case 'newStream': return createOpenerNode({}, init)
    case 'intercept': return createOpenerNode({ intercept: true }, init)
    default: throw new Error(`Unknown dialer ${String(how)}`)
  }
}

/**
 * Every dialer on a connection of its own to a listener of each kind, which answers
 * these protocols
 */
export async function createWorld (transport: TransportName, muxer: Muxer, answers: Record<string, Answer>): Promise<World> {
  const init = { streamMuxers: [MUXERS[muxer]] }
  const [stock, newStream, intercept, without, withService] = await Promise.all([
    createDialer('stock', init),
    createDialer('newStream', init),
    createDialer('intercept', init),
    createStockNode(transport, init),
    createStockNode(transport, { ...init, services: { streamOpener: streamOpener({ intercept: true }) } })
  ])

  for (const listener of [without, withService]) {
    for (const [protocol, answer] of Object.entries(answers)) {
      await listener.handle(protocol, (stream, connection) => {
        answer(stream, connection).catch(err => { stream.abort(err) })
      }, { maxInboundStreams: 10_000 })
    }
  }

  const dialers = { stock, newStream, intercept }
  const elsewhere = {
    stock: await listenElsewhere(stock),
    newStream: await listenElsewhere(newStream),
    intercept: await listenElsewhere(intercept)
  }
  const relays: Relay[] = []

  const createSide = async (how: How, listener: Libp2p<TestServices>): Promise<Side> => {
    const relay = transport === 'memory' ? undefined : await createRelay(addressOf(listener))

    if (relay != null) {
      relays.push(relay)
    }

    return new Side({
      how,
      name: `${how} to a listener ${listener === without ? 'without it' : 'with it'}`,
      dialer: dialers[how],
      listener,
      elsewhere: elsewhere[how],
      relay,
      createDialer: async more => createDialer(how, { ...init, ...more })
    })
  }

  return {
    transport,
    listeners: [without, withService],
    stock: await createSide('stock', without),
    ours: [
      await createSide('stock', withService),
      await createSide('newStream', without),
      await createSide('newStream', withService),
      await createSide('intercept', without),
      await createSide('intercept', withService)
    ],
    stop: async () => {
      await stopNodes(stock, newStream, intercept, without, withService)
      await Promise.all(relays.map(async relay => relay.close()))
    }
  }
}
