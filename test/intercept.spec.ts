import { autoNAT } from '@libp2p/autonat'
import { circuitRelayServer, circuitRelayTransport, RELAY_V2_HOP_CODEC, RELAY_V2_STOP_CODEC } from '@libp2p/circuit-relay-v2'
import { dcutr } from '@libp2p/dcutr'
import { echo as echoService } from '@libp2p/echo'
import { fetch } from '@libp2p/fetch'
import { gossipsub } from '@libp2p/gossipsub'
import { identify, identifyPush } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ping, PING_PROTOCOL } from '@libp2p/ping'
import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { pEvent } from 'p-event'
import { Registry } from 'prom-client'
import { toString } from 'uint8arrays/to-string'
import { afterEach, describe, expect, it } from 'vitest'
import { streamOpener } from '../src/index.ts'
import { addressOf, connectIdentified, createStockNode, identified } from './support/nodes.ts'
import { echoOf, handleRaw } from './support/raw-listener.ts'
import { rounds } from './support/rounds.ts'
import { publicTcp } from './support/third-party.ts'
import { bytes, ECHO, echo, exchange, pattern } from './support/streams.ts'
import { turn, until } from './support/wait.ts'
import type { NodeInit, TransportName } from './support/nodes.ts'
import type { StreamOpenerInit } from '../src/index.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import type { AddressManager, ConnectionManager, TransportManager } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'

const IDENTIFY = '/ipfs/id/1.0.0'
const DHT_NODES = rounds(20, 2)
const OTHER = '/other/1.0.0'

interface Components {
  addressManager: AddressManager
  connectionManager: ConnectionManager
  datastore: { query(query: { prefix: string }): AsyncIterable<{ key: object, value: Uint8Array }> }
  events: EventTarget
  transportManager: TransportManager
}

/**
 * What libp2p knows a node's parts by
 */
function componentsOf (node: Libp2p): Components {
  return (node as unknown as { components: Components }).components
}

const nodes: Array<Libp2p<any>> = []
const registries = new Map<Libp2p, Registry>()

/**
 * A stock node, where the stream opener is nothing but an option in `services`
 */
async function createNode (opener: StreamOpenerInit | undefined, transport?: TransportName, init: NodeInit = {}): Promise<Libp2p<any>> {
  const registry = new Registry()
  const node = await createStockNode<any>(transport, {
    metrics: prometheusMetrics({ registry, collectDefaultMetrics: false }),
    ...init,
    services: {
      ...init.services,
      ...(opener == null ? {} : { streamOpener: streamOpener(opener) })
    }
  })

  nodes.push(node)
  registries.set(node, registry)

  return node
}

function interceptIf (intercepts: boolean): StreamOpenerInit | undefined {
  return intercepts ? { intercept: true } : undefined
}

/**
 * How many streams the stream opener of the node has opened
 */
async function opens (node: Libp2p): Promise<number> {
  const metrics = await registries.get(node)?.getMetricsAsJSON() ?? []

  return metrics
    .filter(({ name }) => /^libp2p_stream_opener_\w+_opens_total$/.test(name))
    .flatMap(({ values }) => values)
    .reduce((sum, { value }) => sum + value, 0)
}

const HOLDS_NOTHING = { open: 0, negotiating: 0, queued: 0, protocols: [] }

/**
 * Stops the nodes one after the other, so that each has peers that are still there
 */
async function stopCleanly (): Promise<void> {
  for (const node of nodes.splice(0)) {
    const connections = node.getConnections()
    const peers = node.getPeers()
    await node.stop()

    expect(node.status).toBe('stopped')
    expect(node.getConnections()).toEqual([])
    expect(connections.filter(({ status }) => status === 'open')).toEqual([])
    expect(connections.flatMap(({ streams }) => streams.filter(({ status }) => status === 'open'))).toEqual([])

    for (const peerId of node.services.streamOpener == null ? [] : peers) {
      expect(node.services.streamOpener.status(peerId)).toMatchObject(HOLDS_NOTHING)
    }
  }

  registries.clear()
}

afterEach(stopCleanly)

/**
 * Resolves when it is so, which is looked at after each of these events
 */
async function untilEvent (target: object, event: string, isSo: () => boolean): Promise<void> {
  while (!isSo()) {
    await pEvent(target as any, event, { timeout: 30_000 })
  }
}

/**
 * Ping allows one stream, and over QUIC the end of the last one may be overtaken: under
 * load libp2p refuses some pings of a row with stock, too (16 of 5,000)
 */
function isPinging (node: Libp2p<any>): boolean {
  return node.getConnections().some(({ streams }) => streams.some(({ protocol }) => protocol === PING_PROTOCOL))
}

function answerAll (stream: Stream): void {
  stream.addEventListener('message', ({ data }) => { stream.send(data) })
}

const WITHOUT_AND_WITH: Array<[string, boolean]> = [['without', false], ['with', true]]
const WHO_INTERCEPTS: Array<[string, boolean, boolean]> = [
  ['without intercept', false, false],
  ['with intercept in the dialer', true, false],
  ['with intercept in both nodes', true, true]
]
const STREAM_TRANSPORTS: TransportName[] = ['tcp', 'quic']

describe.each(STREAM_TRANSPORTS)('over %s', transport => {
  describe.each(WHO_INTERCEPTS)('%s', (_, dialerIntercepts, listenerIntercepts) => {
    async function createPair (services: NodeInit['services']): Promise<[Libp2p<any>, Libp2p<any>]> {
      return Promise.all([
        createNode(interceptIf(dialerIntercepts), transport, { services }),
        createNode(interceptIf(listenerIntercepts), transport, { services })
      ])
    }

    it('ping pings, both ways, also on a connection that is just being made', async () => {
      const [dialer, listener] = await createPair({ ping: ping() })

      expect(await dialer.services.ping.ping(addressOf(listener))).toBeGreaterThanOrEqual(0)
      expect(await listener.services.ping.ping(dialer.peerId)).toBeGreaterThanOrEqual(0)

      for (let i = 0; i < 20; i++) {
        await until(() => !isPinging(dialer))
        expect(await dialer.services.ping.ping(listener.peerId)).toBeGreaterThanOrEqual(0)
      }

      expect(await opens(dialer)).toBe(dialerIntercepts ? 21 : 0)
      expect(await opens(listener)).toBe(listenerIntercepts ? 1 : 0)
    })

    // as libp2p's own suite has it: packages/integration-tests/test/ping.spec.ts
    it('ping takes the first answer, where the handler does not end the stream', async () => {
      const [dialer, listener] = await createPair({ ping: ping() })
      await listener.unhandle(PING_PROTOCOL)
      await listener.handle(PING_PROTOCOL, answerAll)

      expect(await dialer.services.ping.ping(addressOf(listener))).toBeGreaterThanOrEqual(0)
    })

    it('ping has two streams at a time where that is allowed, to a peer that is yet to be dialled', async () => {
      const [dialer, listener] = await createPair({ ping: ping({ maxOutboundStreams: 2 }) })
      await dialer.peerStore.patch(listener.peerId, { multiaddrs: listener.getMultiaddrs() })

      const pings = await Promise.all([dialer.services.ping.ping(listener.peerId), dialer.services.ping.ping(listener.peerId)])

      expect(pings).toEqual([expect.any(Number), expect.any(Number)])
    })

    it('fetch fetches what there is, and says what there is not', async () => {
      const [dialer, listener] = await createPair({ fetch: fetch() })
      const values = new Map([['/test/small', bytes('value')], ['/test/large', pattern(500_000)]])
      listener.services.fetch.registerLookupFunction('/test/', async (key: Uint8Array) => values.get(toString(key)))
      await connectIdentified(dialer, listener)

      for (const [key, value] of values) {
        expect(await dialer.services.fetch.fetch(listener.peerId, key)).toStrictEqual(value)
      }

      expect(await dialer.services.fetch.fetch(listener.peerId, '/test/missing')).toBeUndefined()
      await expect(dialer.services.fetch.fetch(listener.peerId, '/nobody/has')).rejects.toThrow(expect.objectContaining({
        name: 'ProtocolError',
        message: 'Error in fetch protocol response: No lookup function registered for key'
      }))
      expect(await opens(dialer)).toBe(dialerIntercepts ? 4 : 0)
    })

    it('echo echoes, one after the other and at the same time', async () => {
      const [dialer, listener] = await createPair({ echo: echoService() })
      await connectIdentified(dialer, listener)
      const inputs = [1, 5, 70_000, 300_000].map(pattern)

      for (const input of inputs) {
        expect((await dialer.services.echo.echo(listener.peerId, input)).subarray()).toStrictEqual(input)
      }

      const outputs = await Promise.all(inputs.map(async input => dialer.services.echo.echo(listener.peerId, input)))
      expect(outputs.map(output => output.subarray())).toStrictEqual(inputs)
      expect(await opens(dialer)).toBe(dialerIntercepts ? 8 : 0)
    })

    it('identify-push tells the peer about a new protocol, and about one that is gone', async () => {
      const [dialer, listener] = await createPair({ push: identifyPush({ debounce: 10 }) })
      const connection = await connectIdentified(dialer, listener)
      expect((await listener.peerStore.get(dialer.peerId)).protocols).not.toContain(OTHER)

      const pushed = async (names: boolean): Promise<void> => {
        await pEvent<'peer:identify', CustomEvent>(listener as any, 'peer:identify', {
          filter: ({ detail }) => detail.peerId.equals(dialer.peerId) && detail.protocols.includes(OTHER) === names
        })
      }

      await Promise.all([pushed(true), dialer.handle(OTHER, echo)])
      expect((await listener.peerStore.get(dialer.peerId)).protocols).toContain(OTHER)
      await exchange(await (listener.getConnections(dialer.peerId)[0] as Connection).newStream(OTHER), bytes('hello'))

      await Promise.all([pushed(false), dialer.unhandle(OTHER)])
      expect((await listener.peerStore.get(dialer.peerId)).protocols).not.toContain(OTHER)
      expect(await opens(dialer) >= 2).toBe(dialerIntercepts)
      expect(connection.status).toBe('open')
    })
  })
})

describe.each(WITHOUT_AND_WITH)('on nodes %s intercept', (_, intercepts) => {
  it(`kad-dht puts, gets and finds peers over ${DHT_NODES} nodes`, async () => {
    const network = await Promise.all(Array.from({ length: DHT_NODES }, async () => createNode(interceptIf(intercepts), 'tcp', {
      // a busy machine is no reason to give up on a peer
      connectionManager: { dialTimeout: 30_000, addressDialTimeout: 30_000, inboundUpgradeTimeout: 30_000 },
      services: {
        ping: ping(),
        dht: kadDHT({
          protocol: '/ipfs/lan/kad/1.0.0',
          peerInfoMapper: passthroughMapper,
          clientMode: false,
          // so that they know no more than the test has told them
          allowQueryWithZeroPeers: true,
          initialQuerySelfInterval: 600_000,
          networkDialTimeout: { minTimeout: 30_000, maxTimeout: 30_000 },
          onPeerConnectTimeout: 30_000,
          pingNewContactTimeout: { minTimeout: 30_000, maxTimeout: 30_000 },
          validators: { test: async () => {} },
          selectors: { test: () => 0 }
        })
      }
    })))
    const [first, ...others] = network as [Libp2p<any>, ...Array<Libp2p<any>>]
    const key = bytes('/test/key')
    const value = bytes('value')

    // they only know the first one, and find each other through it
    for (const node of others) {
      await connectIdentified(node, first)
    }

    await Promise.all([
      untilEvent(first.services.dht.routingTable, 'peer:add', () => first.services.dht.routingTable.size === others.length),
      ...others.map(async ({ services: { dht: { routingTable } } }) => untilEvent(routingTable, 'peer:add', () => routingTable.size > 0))
    ])

    await others[0]?.contentRouting.put(key, value)
    const got = await Promise.all(network.map(async node => node.contentRouting.get(key)))
    expect(got.map(value => toString(value))).toEqual(network.map(() => 'value'))

    expect((await Promise.all(network.map(countRecords))).slice(0, 2)).toEqual([1, 1])

    for (const [i, node] of others.entries()) {
      const target = others.at(i - 1) as Libp2p
      const found = await node.peerRouting.findPeer(target.peerId)
      expect(found.id.equals(target.peerId)).toBe(true)
      await node.peerStore.merge(found.id, { multiaddrs: found.multiaddrs })
      expect((await node.dial(found.id)).remotePeer.equals(target.peerId)).toBe(true)
    }

    expect(await opens(others[0] as Libp2p) > 0).toBe(intercepts)
  })

  async function countRecords (node: Libp2p): Promise<number> {
    let records = 0

    for await (const { value } of componentsOf(node).datastore.query({ prefix: '/dht/record' })) {
      records += Number(toString(value).includes('value'))
    }

    return records
  }

  it('gossipsub gets every message to every node once, over four hops', async () => {
    const topic = 'topic'
    const network = await Promise.all(Array.from({ length: 5 }, async () => createNode(interceptIf(intercepts), 'tcp', {
      services: {
        pubsub: gossipsub({ heartbeatInterval: 50, emitSelf: true })
      }
    })))
    const received = network.map(({ services: { pubsub } }) => {
      const texts: string[] = []
      pubsub.addEventListener('message', (evt: CustomEvent) => { texts.push(toString(evt.detail.data)) })
      pubsub.subscribe(topic)

      return texts
    })

    for (const [i, node] of network.slice(1).entries()) {
      await connectIdentified(node, network[i] as Libp2p)
    }

    // the two at the ends have one neighbour
    await Promise.all(network.map(async ({ services: { pubsub } }, i) => {
      return untilEvent(pubsub, 'gossipsub:heartbeat', () => pubsub.getMeshPeers(topic).length === (i % 4 === 0 ? 1 : 2))
    }))

    const sent = network.flatMap((_, i) => Array.from({ length: 10 }, (_, j) => `${j} of ${i}`)).sort()
    await Promise.all(network.map(async ({ services: { pubsub } }, i) => {
      await Promise.all(sent.filter(text => text.endsWith(`of ${i}`)).map(async text => pubsub.publish(topic, bytes(text))))
    }))
    await Promise.all(network.map(async ({ services: { pubsub } }, i) => {
      return untilEvent(pubsub, 'gossipsub:heartbeat', () => (received[i]?.length ?? 0) >= sent.length)
    }))

    expect(received.map(texts => texts.sort())).toEqual(network.map(() => sent))
    expect(await Promise.all(network.map(async node => await opens(node) > 0))).toEqual(network.map(() => intercepts))
  })

  it('circuit relay reserves a slot, and both ends use what they open over it', async () => {
    const relay = await createNode(interceptIf(intercepts), 'tcp', { services: { relay: circuitRelayServer() } })
    const listener = await createNode(interceptIf(intercepts), undefined, {
      addresses: { listen: [`${addressOf(relay)}/p2p-circuit`] },
      transports: [tcp(), circuitRelayTransport()],
      services: { ping: ping(), echo: echoService({ runOnLimitedConnection: true }) }
    })
    const dialer = await createNode(interceptIf(intercepts), undefined, {
      transports: [tcp(), circuitRelayTransport()],
      services: { ping: ping(), echo: echoService({ runOnLimitedConnection: true }), fetch: fetch() }
    })
    const used = watchProtocols(relay, [RELAY_V2_HOP_CODEC, RELAY_V2_STOP_CODEC])

    await untilEvent(listener, 'self:peer:update', () => listener.getMultiaddrs().length > 0)
    expect([...relay.services.relay.reservations.keys()].map(String)).toEqual([`${listener.peerId}`])

    const [connection] = await Promise.all([
      dialer.dial(multiaddr(`${addressOf(relay)}/p2p-circuit/p2p/${listener.peerId}`)),
      identified(dialer, listener),
      identified(listener, dialer)
    ])
    expect(connection.limits).toEqual(expect.any(Object))
    expect(connection.direct).toBe(false)

    const [back] = listener.getConnections(dialer.peerId)

    for (const [from, to] of [[dialer, listener], [listener, dialer]] as const) {
      for (const connection of from.getConnections(to.peerId)) {
        for (const length of [5, 20_000]) {
          const stream = await connection.newStream(ECHO, { runOnLimitedConnection: true })
          expect(await exchange(stream, pattern(length))).toEqual(pattern(length))
        }

        await expect(connection.newStream(ECHO)).rejects.toThrow(expect.objectContaining({ name: 'LimitedConnectionError' }))
      }
    }

    expect(back?.limits).toEqual(expect.any(Object))

    // libp2p would rather dial than use a limited connection
    await expect(dialer.services.fetch.fetch(listener.peerId, '/any')).rejects.toThrow()

    expect(used).toEqual(expect.arrayContaining([`inbound ${RELAY_V2_HOP_CODEC}`, `outbound ${RELAY_V2_STOP_CODEC}`]))
    expect(await Promise.all([dialer, listener, relay].map(async node => await opens(node) > 0))).toEqual([intercepts, intercepts, intercepts])
  })

  it('autonat has peers dial back, and believes them', async () => {
    const asked = await createPublicNode(intercepts, 1, { services: { autonat: autoNAT() } })
    const asking = await createPublicNode(intercepts, 2, { services: { autonat: autoNAT() } })
    const [addr] = componentsOf(asking).transportManager.getAddrs()
    const used = watchProtocols(asking, ['/libp2p/autonat/1.0.0'])

    confirmAddresses(asked)

    // libp2p gives autonat the connection that the question came on, which autonat
    // then closes before it has answered
    const { connectionManager } = componentsOf(asked)
    const openConnection = connectionManager.openConnection.bind(connectionManager)
    connectionManager.openConnection = async (peer, options) => openConnection(peer, { ...options, force: true })

    expect(asking.getMultiaddrs()).toEqual([])
    await asking.dial(componentsOf(asked).transportManager.getAddrs())
    await untilEvent(asking, 'self:peer:update', () => asking.getMultiaddrs().length > 0)

    expect(asking.getMultiaddrs().map(String)).toEqual([`${addr}/p2p/${asking.peerId}`])
    expect(used).toContain('outbound /libp2p/autonat/1.0.0')
    expect(await opens(asking) > 0).toBe(intercepts)
  })

  it('dcutr makes a relayed connection a direct one, where only one of the two can be dialed', async () => {
    const relay = await createPublicNode(intercepts, 1, { services: { relay: circuitRelayServer() } })
    confirmAddresses(relay)

    const direct = Promise.withResolvers<void>()
    let dials = 0

    const listener = await createPublicNode(intercepts, 2, {
      addresses: { listen: ['/ip4/8.0.0.2/tcp/0', `${addressOf(relay)}/p2p-circuit`] },
      connectionGater: {
        // the first attempt of the listener fails, and so does the next one, which
        // is to happen at the same time as that of the dialer
        denyDialMultiaddr: async (addr: Multiaddr) => {
          if (`${addr}`.startsWith('/ip4/8.0.0.3/') && dials++ > 0) {
            await direct.promise
          }

          return `${addr}`.startsWith('/ip4/8.0.0.3/')
        }
      },
      services: { dcutr: dcutr() }
    })
    confirmAddresses(listener)
    await untilEvent(listener, 'self:peer:update', () => listener.getMultiaddrs().length === 2)

    const dialer = await createPublicNode(intercepts, 3, { services: { dcutr: dcutr() } })
    confirmAddresses(dialer)
    const used = watchProtocols(dialer, ['/libp2p/dcutr'])

    listener.addEventListener('connection:open', (evt: CustomEvent<Connection>) => {
      if (evt.detail.remotePeer.equals(dialer.peerId) && evt.detail.direct) {
        direct.resolve()
      }
    })

    const relayed = await dialer.dial(multiaddr(`${addressOf(relay)}/p2p-circuit/p2p/${listener.peerId}`))
    await untilEvent(relayed, 'close', () => relayed.status !== 'open')
    await direct.promise

    expect(dialer.getConnections(listener.peerId).map(({ direct, limits }) => ({ direct, limits }))).toStrictEqual([{ direct: true, limits: undefined }])
    expect(used).toContain('inbound /libp2p/dcutr')
    expect(await opens(listener) > 0).toBe(intercepts)
  })
})

/**
 * A node at 8.0.0.n
 */
async function createPublicNode (intercepts: boolean, n: number, init: NodeInit = {}): Promise<Libp2p<any>> {
  return createNode(interceptIf(intercepts), undefined, {
    addresses: { listen: [`/ip4/8.0.0.${n}/tcp/0`] },
    transports: [publicTcp(`127.0.0.${n}`), circuitRelayTransport()],
    ...init
  })
}

/**
 * As autonat would
 */
function confirmAddresses (node: Libp2p): void {
  const { addressManager, transportManager } = componentsOf(node)

  for (const addr of transportManager.getAddrs()) {
    addressManager.confirmObservedAddr(addr, { type: 'transport' })
  }
}

/**
 * What is opened of these protocols from now on, in both directions
 */
function watchProtocols (node: Libp2p, protocols: string[]): string[] {
  const used: string[] = []

  for (const protocol of protocols) {
    node.use(protocol, (stream, connection, next) => {
      used.push(`${stream.direction} ${protocol}`)
      next(stream, connection)
    })
  }

  return used
}

/**
 * The service's own events among those that a call reports
 */
async function pathOf (open: (options: { onProgress(evt: { type: string }): void }) => Promise<Stream>): Promise<string[]> {
  const types: string[] = []
  const stream = await open({ onProgress: ({ type }) => { types.push(type) } })
  expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))

  return types.filter(type => type.startsWith('stream-opener:'))
}

async function createEchoPair (opener: StreamOpenerInit | undefined, protocols = [ECHO], transport: TransportName = 'tcp'): Promise<{ dialer: Libp2p<any>, listener: Libp2p<any>, connection: Connection }> {
  const dialer = await createNode(opener)
  const listener = await createNode(undefined, transport)
  await listener.handle(protocols, echo)

  return { dialer, listener, connection: await connectIdentified(dialer, listener) }
}

describe('what is intercepted', () => {
  const OPTIMISTIC = ['stream-opener:optimistic']

  it.each<[string, StreamOpenerInit['intercept'], string[], string[]]>([
    ['all', true, OPTIMISTIC, OPTIMISTIC],
    ['those of a list', [ECHO, '/unknown/1.0.0'], OPTIMISTIC, []],
    ['those that a function picks', protocol => protocol !== ECHO, [], OPTIMISTIC],
    ['none of an empty list', [], [], []],
    ['none if it is off', false, [], []],
    ['none unless it is said', undefined, [], []]
  ])('is %s', async (_, intercept, ofEcho, ofOther) => {
    const { connection } = await createEchoPair({ intercept }, [ECHO, OTHER])

    expect(await pathOf(async options => connection.newStream(ECHO, options))).toEqual(ofEcho)
    expect(await pathOf(async options => connection.newStream(OTHER, options))).toEqual(ofOther)

    // of several protocols, all have to be among them
    expect(await pathOf(async options => connection.newStream([ECHO, OTHER], options))).toEqual(ofEcho.length + ofOther.length === 2 ? OPTIMISTIC : [])
  })

  it('is what is opened by dialProtocol, openStream and newStream, on the connections of both directions', async () => {
    const { dialer, listener, connection } = await createEchoPair({ intercept: true })
    const { connectionManager } = componentsOf(dialer)

    for (const open of [
      async options => dialer.dialProtocol(listener.peerId, ECHO, options),
      async options => dialer.dialProtocol(addressOf(listener), [ECHO], options),
      async options => connectionManager.openStream(listener.peerId, ECHO, options),
      async options => connectionManager.openStream(addressOf(listener), [ECHO], options),
      async options => connection.newStream(ECHO, options),
      async options => connection.newStream([ECHO, ECHO], options)
    ] satisfies Array<Parameters<typeof pathOf>[0]>) {
      expect(await pathOf(open)).toEqual(OPTIMISTIC)
    }

    // and of a connection that the other one has made
    const peer = await createNode(undefined)
    await peer.handle(ECHO, echo)
    const intercepting = await createNode({ intercept: true }, 'tcp')
    await connectIdentified(peer, intercepting)
    expect(await pathOf(async options => intercepting.dialProtocol(peer.peerId, ECHO, options))).toEqual(OPTIMISTIC)
  })

  it('is negotiated by libp2p where it has to be, and reports that', async () => {
    const { listener, connection } = await createEchoPair({ intercept: true })
    await listener.handle(OTHER, echo)

    expect(await pathOf(async options => connection.newStream(OTHER, options))).toEqual(['stream-opener:full'])
    expect(await pathOf(async options => connection.newStream(OTHER, options))).toEqual(OPTIMISTIC)
  })

  it('is all that is counted', async () => {
    const { dialer, connection } = await createEchoPair({ intercept: [OTHER] })
    const stream = await connection.newStream(ECHO)
    stream.send(bytes('hello'))
    const { value } = await stream[Symbol.asyncIterator]().next()

    expect(value.subarray()).toStrictEqual(bytes('hello'))
    expect(dialer.services.streamOpener.status(connection.remotePeer)).toMatchObject({ open: 0 })
    await stream.close()
  })
})

describe.each(WITHOUT_AND_WITH)('%s intercept', (_, intercepts) => {
  const opener = interceptIf(intercepts)

  it.each<[string, string | string[]]>([
    ['one', '/missing/1.0.0'],
    ['several', ['/missing/1.0.0', '/neither/1.0.0']],
    ['an empty one', '']
  ])('rejects %s that the peer does not speak', async (_, protocols) => {
    const { dialer, connection } = await createEchoPair(opener)

    await expect(connection.newStream(protocols)).rejects.toThrow(expect.objectContaining({
      name: 'UnsupportedProtocolError',
      message: `Protocol selection failed - could not negotiate ${protocols}`
    }))
    await expect(dialer.dialProtocol(connection.remotePeer, protocols)).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
  })

  it('rejects no protocols', async () => {
    const { dialer, connection } = await createEchoPair(opener)

    await expect(connection.newStream([])).rejects.toThrow(expect.objectContaining({ name: 'Error', message: 'At least one protocol must be specified' }))
    await expect(componentsOf(dialer).connectionManager.openStream(connection.remotePeer, [])).rejects.toThrow(expect.objectContaining({ name: 'Error', message: 'At least one protocol must be specified' }))
    await expect(dialer.dialProtocol(connection.remotePeer, [])).rejects.toThrow(expect.objectContaining({ name: 'InvalidParametersError' }))
  })

  it('rejects what is asked of a connection that is closed', async () => {
    const { connection } = await createEchoPair(opener)
    const { newStream } = connection
    await connection.close()

    await expect(connection.newStream(ECHO)).rejects.toThrow(expect.objectContaining({ name: 'ConnectionClosedError' }))
    await expect(newStream.call(connection, ECHO)).rejects.toThrow(expect.objectContaining({ name: 'ConnectionClosedError' }))
  })

  it('rejects what is asked of a limited connection', async () => {
    const { connection } = await createEchoPair(opener)
    connection.limits = { bytes: 1_000n }

    await expect(connection.newStream(ECHO)).rejects.toThrow(expect.objectContaining({ name: 'LimitedConnectionError' }))
    const stream = await connection.newStream(ECHO, { runOnLimitedConnection: true })
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it.each(['before', 'while'])('rejects a call whose signal is aborted %s it is made', async when => {
    const dialer = await createNode(opener)
    const listener = await createNode(undefined, 'tcp')
    await listener.handle(ECHO, echo)
    await handleRaw(listener, '/silent/1.0.0', () => {})
    const connection = await connectIdentified(dialer, listener)
    const asked = ['/unknown/1.0.0', '/silent/1.0.0']

    for (const open of [
      async (signal: AbortSignal) => connection.newStream(when === 'before' ? ECHO : asked, { signal }),
      async (signal: AbortSignal) => dialer.dialProtocol(listener.peerId, when === 'before' ? ECHO : asked, { signal })
    ]) {
      const controller = new AbortController()

      if (when === 'before') {
        controller.abort()
      }

      const opening = expect(open(controller.signal)).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
      controller.abort()
      await opening
    }

    // nothing is left of it, and it did not harm the connection
    expect(await exchange(await connection.newStream(ECHO), bytes('hello'))).toEqual(bytes('hello'))
  })

  it.each([1, 3])('rejects more than the %i streams at a time that a handler allows, at once', async maxOutboundStreams => {
    const { dialer, connection } = await createEchoPair(opener)
    await dialer.handle(ECHO, echo, { maxOutboundStreams })

    await expectLimit(connection, maxOutboundStreams)

    // whatever the caller says
    await expectLimit(connection, maxOutboundStreams, { maxOutboundStreams: 10 })
  })

  it.each([0, 1, 3])('rejects more than the %i streams at a time that the caller wants, at once', async maxOutboundStreams => {
    const { connection } = await createEchoPair(opener)

    await expectLimit(connection, maxOutboundStreams, { maxOutboundStreams })
  })
})

/**
 * Opens as many streams as that, and one more
 */
async function expectLimit (connection: Connection, max: number, options?: Parameters<Connection['newStream']>[1]): Promise<void> {
  const streams: Stream[] = []

  for (let i = 0; i < max; i++) {
    streams.push(await connection.newStream(ECHO, options))
  }

  await expect(connection.newStream(ECHO, options)).rejects.toThrow(expect.objectContaining({
    name: 'TooManyOutboundProtocolStreamsError',
    message: `Too many outbound protocol streams for protocol "${ECHO}" - ${max + 1}/${max}`
  }))

  for (const stream of streams) {
    const end = pEvent(stream as any, 'close')
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    await end
  }
}

describe('200 calls of dialProtocol at the same time to a stock peer', () => {
  async function exchange200 (opener: StreamOpenerInit | undefined): Promise<Uint8Array[]> {
    const { dialer, listener } = await createEchoPair(opener)

    return Promise.all(Array.from({ length: 200 }, async (_, i) => {
      return exchange(await dialer.dialProtocol(listener.peerId, ECHO), bytes(`hello ${i}`))
    }))
  }

  it('all succeed with intercept', async () => {
    expect(await exchange200({ intercept: true })).toEqual(Array.from({ length: 200 }, (_, i) => bytes(`hello ${i}`)))
  })

  it('may hold as many streams open as without, if the peer accepts them', async () => {
    const { dialer, listener } = await createEchoPair({ intercept: true, queueTimeout: 100 })
    await listener.handle('/long/1.0.0', () => {}, { maxInboundStreams: 100 })
    const streams = await Promise.all(Array.from({ length: 64 }, async () => dialer.dialProtocol(listener.peerId, '/long/1.0.0')))

    expect(streams.map(({ status }) => status)).toEqual(streams.map(() => 'open'))
    await expect(dialer.dialProtocol(listener.peerId, '/long/1.0.0')).rejects.toThrow(expect.objectContaining({ name: 'TooManyOutboundProtocolStreamsError' }))
    streams.forEach(stream => { stream.abort(new Error('Enough')) })
  })

  it('do not all succeed without', async () => {
    await expect(exchange200(undefined)).rejects.toThrow()
  })
})

describe('a listener whose identify never answers', () => {
  /**
   * It confirms the protocol, and that is that
   */
  async function createPair (opener: StreamOpenerInit | undefined, runOnConnectionOpen = false): Promise<{ dialer: Libp2p<any>, listener: Libp2p<any>, connection: Connection }> {
    const dialer = await createNode(opener, undefined, { services: { identify: identify({ runOnConnectionOpen, timeout: 30_000 }) } })
    const listener = await createNode(undefined, 'tcp')
    await listener.unhandle(IDENTIFY)
    await handleRaw(listener, IDENTIFY, stream => { stream.send(echoOf(IDENTIFY)) })
    await listener.handle(ECHO, echo)
    const [connection] = await Promise.all([dialer.dial(addressOf(listener)), identified(listener, dialer)])

    return { dialer, listener, connection }
  }

  it('does not hold up what is opened to it', async () => {
    const { dialer, connection } = await createPair({ intercept: true })
    const controller = new AbortController()
    const identifying = expect(dialer.services.identify.identify(connection, { signal: controller.signal })).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))

    expect(await pathOf(async options => connection.newStream(ECHO, options))).toEqual(['stream-opener:early'])
    expect(await pathOf(async options => connection.newStream(ECHO, options))).toEqual(['stream-opener:optimistic'])
    expect(await pathOf(async options => dialer.dialProtocol(connection.remotePeer, ECHO, options))).toEqual(['stream-opener:optimistic'])
    controller.abort()
    await identifying
  })

  it.each(WITHOUT_AND_WITH)('is asked once at a time, %s intercept', async (_, intercepts) => {
    const { dialer, connection } = await createPair(interceptIf(intercepts))
    const controller = new AbortController()
    const first = expect(dialer.services.identify.identify(connection, { signal: controller.signal })).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))

    await untilStream(connection, IDENTIFY)
    await expect(dialer.services.identify.identify(connection)).rejects.toThrow(expect.objectContaining({ name: 'TooManyOutboundProtocolStreamsError' }))
    controller.abort()
    await first
  })

  it.each(WITHOUT_AND_WITH)('is asked once at a time, also where libp2p has asked first, %s intercept', async (_, intercepts) => {
    const { dialer, connection } = await createPair(interceptIf(intercepts), true)

    await untilStream(connection, IDENTIFY)
    await expect(dialer.services.identify.identify(connection, { signal: AbortSignal.timeout(2_000) })).rejects.toThrow(expect.objectContaining({ name: 'TooManyOutboundProtocolStreamsError' }))
  })

  it('can be asked when it answers again', async () => {
    const { dialer, listener } = await createEchoPair({ intercept: true })
    const [connection] = dialer.getConnections(listener.peerId) as [Connection]
    const before = await opens(dialer)

    for (let i = 0; i < 3; i++) {
      expect((await dialer.services.identify.identify(connection)).protocols).toContain(ECHO)
    }

    expect(await opens(dialer)).toBe(before + 3)
  })
})

async function untilStream (connection: Connection, protocol: string): Promise<void> {
  while (!connection.streams.some(stream => stream.protocol === protocol)) {
    await turn()
  }
}

/**
 * What `newStream` of each connection was before anybody else saw it
 */
async function watchNewStream (node: Libp2p): Promise<Map<Connection, Connection['newStream']>> {
  const originals = new Map<Connection, Connection['newStream']>()

  // a node that is not started yet has no listener of the service
  componentsOf(node).events.addEventListener('connection:open', evt => {
    const { detail: connection } = evt as CustomEvent<Connection>
    originals.set(connection, connection.newStream)
  })
  await node.start()

  return originals
}

describe('what is put back', () => {
  async function createPair (): Promise<{ dialer: Libp2p<any>, listener: Libp2p<any>, connection: Connection, original: Connection['newStream'] }> {
    const dialer = await createNode({ intercept: true }, undefined, { start: false })
    const listener = await createNode(undefined, 'tcp')
    await listener.handle(ECHO, echo)
    const originals = await watchNewStream(dialer)
    const connection = await connectIdentified(dialer, listener)
    const original = originals.get(connection) as Connection['newStream']
    expect(connection.newStream === original).toBe(false)

    return { dialer, listener, connection, original }
  }

  it('is the newStream of all connections when the node stops', async () => {
    const { dialer, connection, original } = await createPair()
    await exchange(await connection.newStream(ECHO), bytes('hello'))
    await dialer.stop()

    expect(Object.hasOwn(connection, 'newStream')).toBe(true)
    expect(connection.newStream === original).toBe(true)
    await expect(connection.newStream(ECHO)).rejects.toThrow(expect.objectContaining({ name: 'ConnectionClosedError' }))
  })

  it('is the newStream of a connection when it closes, of which then nothing is held', async () => {
    const { dialer, listener, connection, original } = await createPair()
    const { streamOpener } = dialer.services
    await Promise.all(Array.from({ length: 32 }, async () => connection.newStream(ECHO)))
    const waiting = expect(connection.newStream(ECHO)).rejects.toThrow(expect.objectContaining({ name: 'ConnectionClosedError' }))
    expect(streamOpener.status(listener.peerId)).toMatchObject({ open: 32, negotiating: 0, queued: 1 })
    await dialer.hangUp(listener.peerId)
    await waiting

    expect(connection.newStream === original).toBe(true)
    expect(streamOpener.status()).toEqual([])
    expect(streamOpener.status(listener.peerId)).toMatchObject(HOLDS_NOTHING)
  })

  it('is the newStream of a connection that goes on when only the service stops', async () => {
    const { dialer, connection, original } = await createPair()
    await dialer.services.streamOpener.stop()

    expect(connection.newStream === original).toBe(true)
    expect(await pathOf(async options => connection.newStream(ECHO, options))).toEqual([])
    expect(await pathOf(async options => dialer.dialProtocol(connection.remotePeer, ECHO, options))).toEqual([])
    await dialer.services.streamOpener.start()
  })

  it('leaves no call waiting when the node stops', async () => {
    const { dialer, listener, connection } = await createPair()
    const calls = Array.from({ length: 100 }, async () => connection.newStream(ECHO))
    await Promise.all(calls.slice(0, 32))
    const rest = Promise.allSettled(calls.slice(32))
    await dialer.stop()

    expect((await rest).map(({ status }) => status)).toEqual(Array.from({ length: 68 }, () => 'rejected'))
    expect(dialer.services.streamOpener.status(listener.peerId)).toMatchObject(HOLDS_NOTHING)
  })

  it.each<[string, StreamOpenerInit['intercept']]>([
    ['intercepted', true],
    ['not intercepted', [OTHER]]
  ])('leaves what others have put on top of it, which still opens what is %s', async (_, intercept) => {
    const { dialer, connection } = await createEchoPair({ intercept })
    const { newStream } = connection
    let seen = 0
    connection.newStream = async (protocols, options) => {
      seen++

      return newStream.call(connection, protocols, options)
    }

    expect(await exchange(await connection.newStream(ECHO), bytes('hello'))).toEqual(bytes('hello'))
    await dialer.services.streamOpener.stop()
    expect(await exchange(await connection.newStream(ECHO), bytes('hello'))).toEqual(bytes('hello'))
    expect(seen).toBe(2)
  })

  it('leaves what others have put on top of it, which still says that the connection is closed', async () => {
    const { connection } = await createEchoPair({ intercept: true })
    const { newStream } = connection
    let seen = 0
    connection.newStream = async (protocols, options) => {
      if (seen++ > 10) {
        throw new Error('This goes round in circles')
      }

      return newStream.call(connection, protocols, options)
    }

    await connection.close()
    await expect(connection.newStream(ECHO)).rejects.toThrow(expect.objectContaining({ name: 'ConnectionClosedError' }))
    expect(seen).toBe(1)
  })
})

describe.each(STREAM_TRANSPORTS)('a node that is stopped and started over %s', transport => {
  it.each(WITHOUT_AND_WITH)('works as before, %s intercept', async (_, intercepts) => {
    const services = { ping: ping(), echo: echoService() }
    const dialer = await createNode(interceptIf(intercepts), transport, { services })
    const listener = await createNode(interceptIf(intercepts), transport, { services })

    for (let i = 1; i <= 3; i++) {
      const connection = await connectIdentified(dialer, listener)
      expect(await dialer.services.ping.ping(listener.peerId)).toBeGreaterThanOrEqual(0)
      expect((await listener.services.echo.echo(dialer.peerId, bytes('hello'))).subarray()).toStrictEqual(bytes('hello'))
      expect(await pathOf(async options => connection.newStream(ECHO, options))).toEqual(intercepts ? ['stream-opener:optimistic'] : [])
      expect(await opens(dialer)).toBe(intercepts ? 2 * i : 0)
      expect(await opens(listener)).toBe(intercepts ? i : 0)

      for (const node of [dialer, listener]) {
        await node.stop()
        await node.start()
      }
    }
  })
})
