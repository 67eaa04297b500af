/**
 * What libp2p's own suites ask of nodes, asked of those with intercept and of those
 * without: connection-monitor, registrar, events, gossipsub and circuit-relay
 */
import { circuitRelayServer, circuitRelayTransport, RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import { gossipsub } from '@libp2p/gossipsub'
import { identify, identifyPush } from '@libp2p/identify'
import { ping, PING_PROTOCOL } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { pEvent } from 'p-event'
import { describe, it } from 'vitest'
import { expectAlike, outcome } from './like-stock/alike.ts'
import { addressOf, connectIdentified, identified } from './support/nodes.ts'
import { sampled } from './support/rounds.ts'
import { bytes, closed, ECHO, echo, exchange, pattern } from './support/streams.ts'
import { until } from './support/wait.ts'
import type { Creates } from './like-stock/alike.ts'
import type { TransportName } from './support/nodes.ts'
import type { Connection, Libp2p, Stream, Topology } from '@libp2p/interface'
import type { Registrar, TransportManager } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'

const IDENTIFY = '/ipfs/id/1.0.0'

function registrarOf (node: Libp2p): Registrar {
  return (node as unknown as { components: { registrar: Registrar } }).components.registrar
}

async function ask (connection: Connection, protocol: string, runOnLimitedConnection: boolean): Promise<Uint8Array> {
  const stream = await connection.newStream(protocol, { runOnLimitedConnection })

  return exchange(stream, bytes('hello'))
}

function hasStream ({ streams }: Connection, used: string): boolean {
  return streams.some(({ protocol }) => protocol === used)
}

function answerAll (stream: Stream): void {
  stream.addEventListener('message', ({ data }) => { stream.send(data) })
}

/**
 * Takes note of what it is told
 */
function noting (name: string, calls: string[]): Topology {
  return {
    onConnect: (_, { direction }) => { calls.push(`${name} connects ${direction}`) },
    onDisconnect: () => { calls.push(`${name} disconnects`) }
  }
}

function filter (): Topology['filter'] {
  const peers = new Set<string>()

  return {
    has: peer => peers.has(`${peer}`),
    add: peer => { peers.add(`${peer}`) },
    remove: peer => { peers.delete(`${peer}`) }
  }
}

/**
 * All this has little to do with the transport: over QUIC it is for the soak alone
 */
const TRANSPORTS: TransportName[] = sampled(['tcp', 'quic'], 0)

describe.each(TRANSPORTS)('connection-monitor over %s', transport => {
  async function createPair ({ other, dialer }: Creates, init: object = {}): Promise<{ listener: Libp2p, dialer: Libp2p }> {
    return {
      // pings may overlap on a busy machine
      listener: await other(transport, { services: { ping: ping({ maxInboundStreams: 100 }) } }),
      dialer: await dialer(undefined, { connectionMonitor: { enabled: true, pingInterval: 20, ...init } })
    }
  }

  it.each([true, false])('measures the round trip, whether the peer speaks ping or not: %s', async speaks => {
    await expectAlike(async create => {
      const { listener, dialer } = await createPair(create)

      if (!speaks) {
        await listener.unhandle(PING_PROTOCOL)
      }

      const connection = await connectIdentified(dialer, listener)
      await until(() => connection.rtt != null)

      return [connection.status]
    })
  })

  // an error by another name than UnsupportedProtocolError would end the connection
  it('measures it where the peer has stopped to speak ping', async () => {
    await expectAlike(async create => {
      const { listener, dialer } = await createPair(create)
      const connection = await connectIdentified(dialer, listener)
      await until(() => connection.rtt != null)
      await listener.unhandle(PING_PROTOCOL)
      connection.rtt = undefined
      await until(() => connection.rtt != null || connection.status !== 'open')

      return [connection.status]
    })
  })

  it.each([true, false])('aborts the connection of a peer that does not answer, if told to: %s', async abortConnectionOnPingFailure => {
    await expectAlike(async create => {
      const { listener, dialer } = await createPair(create, { abortConnectionOnPingFailure, pingTimeout: { minTimeout: 50, maxTimeout: 50 } })
      let pings = 0
      await listener.handle(PING_PROTOCOL, () => { pings++ }, { force: true, maxInboundStreams: 100 })
      const connection = await connectIdentified(dialer, listener)
      await until(() => connection.status !== 'open' || (!abortConnectionOnPingFailure && pings > 5))

      return [connection.status]
    })
  })
})

describe.each(TRANSPORTS)('a topology over %s', transport => {
  it('is told of peers as they come to speak its protocol, and go', async () => {
    await expectAlike(async create => {
      const push = { services: { push: identifyPush({ debounce: 0 }) } }
      const listener = await create.other(transport, push)
      const dialer = await create.dialer(undefined, push)
      const calls: string[] = []
      await registrarOf(dialer).register(ECHO, noting('echo', calls))
      await registrarOf(dialer).register(ECHO, { ...noting('filtered', calls), filter: filter() })
      await registrarOf(dialer).register(IDENTIFY, { ...noting('identify', calls), filter: filter() })
      const connection = await connectIdentified(dialer, listener)
      await Promise.all([identified(dialer, listener), listener.handle(ECHO, echo)])
      calls.push(await exchange(await connection.newStream(ECHO), bytes('hello')).then(answer => new TextDecoder().decode(answer)))
      await Promise.all([identified(dialer, listener), listener.unhandle(ECHO)])
      calls.push('unhandled')
      await dialer.hangUp(listener.peerId)
      await until(() => calls.includes('identify disconnects'))

      return calls
    })
  })

  it('is not told of a peer that opens, or confirms, what identify has not named', async () => {
    await expectAlike(async create => {
      const init = { services: { identify: identify({ runOnConnectionOpen: false }) } }
      const listener = await create.other(transport, init)
      const dialer = await create.dialer(undefined, init)
      const calls: string[] = []
      await registrarOf(dialer).register(ECHO, { onConnect: () => { calls.push('connects') }, onDisconnect: () => { calls.push('disconnects') } })
      await listener.handle(ECHO, echo)

      for (let i = 0; i < 2; i++) {
        const stream = await dialer.dialProtocol(addressOf(listener), ECHO)
        calls.push(new TextDecoder().decode(await exchange(stream, bytes('hello'))))
      }

      calls.push(`${(await dialer.peerStore.get(listener.peerId)).protocols}`)
      await dialer.hangUp(listener.peerId)
      await until(() => dialer.getConnections().length === 0)

      return calls
    })
  })
})

describe.each(TRANSPORTS)('over %s', transport => {
  it('a node has the same events, in the same order', async () => {
    await expectAlike(async create => {
      const listener = await create.other(transport)
      const dialer = await create.dialer(undefined)
      const seen: string[] = []

      for (const type of ['connection:open', 'connection:close', 'peer:connect', 'peer:disconnect', 'peer:identify']) {
        dialer.addEventListener(type as any, () => { seen.push(type) })
      }

      await listener.handle(ECHO, echo)
      const connection = await connectIdentified(dialer, listener)
      const stream = await connection.newStream(ECHO)
      seen.push(new TextDecoder().decode(await exchange(stream, bytes('hello'))))
      await Promise.all([pEvent(dialer as any, 'peer:disconnect'), listener.hangUp(dialer.peerId)])

      return seen
    })
  })

  it('a node that does not run identify by itself does not', async () => {
    await expectAlike(async create => {
      const init = { services: { identify: identify({ runOnConnectionOpen: false }) } }
      const listener = await create.other(transport, init)
      const dialer = await create.dialer(undefined, init)
      const asked: string[] = []

      for (const node of [listener, dialer]) {
        node.use(IDENTIFY, [(stream, connection, next) => {
          asked.push(stream.direction)
          next(stream, connection)
        }])
      }

      await listener.handle(ECHO, echo)
      const stream = await dialer.dialProtocol(addressOf(listener), ECHO)

      return [new TextDecoder().decode(await exchange(stream, bytes('hello'))), ...asked]
    })
  })

  it('gossipsub forgets a stream that is reset, and a peer that has gone', async () => {
    await expectAlike(async create => {
      const services = { pubsub: gossipsub() }
      const listener = await create.other(transport, { services })
      const dialer = await create.dialer(undefined, { services })
      const connection = await connectIdentified(dialer, listener)
      const { streamsOutbound, peers } = dialer.services.pubsub
      await until(() => streamsOutbound.has(`${listener.peerId}`))
      const seen = [`${peers.size}`]

      streamsOutbound.get(`${listener.peerId}`).rawStream.abort(new Error('Away'))
      await until(() => !streamsOutbound.has(`${listener.peerId}`))
      seen.push(`${connection.status} ${peers.size}`)

      await dialer.hangUp(listener.peerId)
      await until(() => peers.size === 0)

      return [...seen, `${streamsOutbound.size}`]
    })
  })
})

describe('over a relay', () => {
  const RELAYED = { transports: [tcp(), circuitRelayTransport()] }

  async function createRelay (create: Creates['other'], init = {}): Promise<Libp2p<any>> {
    return create('tcp', { services: { relay: circuitRelayServer(init) } })
  }

  async function createListener (create: Creates['other'], relay: Libp2p): Promise<Libp2p<any>> {
    const listener = await create(undefined, { ...RELAYED, addresses: { listen: [`${addressOf(relay)}/p2p-circuit`] } })
    await until(() => listener.getMultiaddrs().length > 0)

    return listener
  }

  function relayed (relay: Libp2p, listener: Libp2p): Multiaddr {
    return multiaddr(`${addressOf(relay)}/p2p-circuit/p2p/${listener.peerId}`)
  }

  it('a peer without a reservation cannot be dialled, and the connection to the relay stays, without a stream', async () => {
    await expectAlike(async create => {
      const relay = await createRelay(create.other)
      const listener = await create.other(undefined)
      const dialer = await create.dialer(undefined, RELAYED)
      await connectIdentified(listener, relay)
      const connection = await connectIdentified(dialer, relay)
      const { message } = await dialer.dial(relayed(relay, listener)).catch(err => err)
      await until(() => !hasStream(connection, RELAY_V2_HOP_CODEC))

      return [/NO_RESERVATION/.test(message), connection.status]
    })
  })

  it('a relay that is full says so', async () => {
    await expectAlike(async create => {
      const relay = await createRelay(create.other, { reservations: { maxReservations: 0 } })
      const listener = await create.dialer(undefined, RELAYED)
      await connectIdentified(listener, relay)
      const { transportManager } = (listener as unknown as { components: { transportManager: TransportManager } }).components

      return [await transportManager.listen([multiaddr(`${addressOf(relay)}/p2p-circuit`)]).then(() => 'listens', ({ name, errors }) => `${name} ${errors}`)]
    })
  })

  it('streams and topologies are kept to what may use a limited connection, at both ends', async () => {
    await expectAlike(async create => {
      const relay = await createRelay(create.other)
      const listener = await createListener(create.other, relay)
      const dialer = await create.dialer(undefined, RELAYED)
      const calls: string[] = []
      await listener.handle('may', echo, { runOnLimitedConnection: true })
      await listener.handle('may not', echo, { runOnLimitedConnection: false })

      for (const notifyOnLimitedConnection of [true, false]) {
        await registrarOf(dialer).register('may', { notifyOnLimitedConnection, onConnect: () => { calls.push(`connects ${notifyOnLimitedConnection}`) } })
      }

      const [connection] = await Promise.all([dialer.dial(relayed(relay, listener)), identified(dialer, listener), identified(listener, dialer)])

      for (const protocol of ['may', 'may not']) {
        for (const runOnLimitedConnection of [true, false]) {
          const seen = await outcome(ask(connection, protocol, runOnLimitedConnection))
          // which error it is depends on whether it comes before the write
          calls.push(protocol === 'may not' && runOnLimitedConnection ? `${/^Stream(State|Reset)Error$/.test(`${seen}`)}` : `${seen}`)
        }
      }

      return calls
    })
  })

  it.each([
    ['much', { defaultDataLimit: 20_000n }, true],
    ['long', { defaultDurationLimit: 500 }, false]
  ])('a connection that is used for too %s is closed, with its streams', async (_, reservations, writes) => {
    await expectAlike(async create => {
      const relay = await createRelay(create.other, { reservations })
      const listener = await createListener(create.other, relay)
      const dialer = await create.dialer(undefined, RELAYED)
      await listener.handle(ECHO, answerAll, { runOnLimitedConnection: true })
      const [connection] = await Promise.all([dialer.dial(relayed(relay, listener)), identified(dialer, listener), identified(listener, dialer)])
      const stream = await connection.newStream(ECHO, { runOnLimitedConnection: true })
      const isClosed = closed(stream)
      stream.send(bytes('hello'))
      await pEvent(stream as any, 'message')

      if (writes) {
        stream.send(pattern(100_000))
      }

      await isClosed
      await until(() => connection.status !== 'open')

      return [stream.status === 'open', connection.streams.length]
    })
  })
})
