import { setTimeout as delay } from 'node:timers/promises'
import { peerIdFromString } from '@libp2p/peer-id'
import { fromString } from 'uint8arrays/from-string'
import { createOpenerNode, createStockNode } from '../../test/support/nodes.ts'
import { connectAll } from '../parts/connect-all.ts'
import { dhtServices } from '../parts/dht.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { ratioOf } from '../parts/statistics.ts'
import { printTable, spread } from '../parts/table.ts'
import { withChild } from '../parts/with-child.ts'
import type { DHTServices } from '../parts/dht.ts'
import type { InterleaveInit } from '../parts/interleave.ts'
import type { Scenario } from '../parts/scenario.ts'
import type { Target } from '../parts/targets.ts'
import type { KadDHTInit, QueryEvent, SingleKadDHT } from '@libp2p/kad-dht'
import type { Libp2p } from '@libp2p/interface'

const SERVERS = 20

/**
 * Queries of nodes that have to dial
 */
const RECONNECTS = 8

type Client = Libp2p<DHTServices>

/**
 * How many servers a query asks at a time. By default it is all 20 of them, and what
 * a query takes is then for a good part what both ends compute, on the cores that
 * they share here: each server answers with 20 peers. 3 is what Kademlia's authors
 * have, then it is the round trips.
 */
const AT_A_TIME: Record<string, KadDHTInit> = {
  'all at once': {},
  '3 at a time': { alpha: 3, disjointPaths: 1 }
}

const CREATE: Record<'stock' | 'intercepted' | 'resumed', (init: KadDHTInit) => Promise<Client>> = {
  stock: async init => createStockNode<DHTServices>(undefined, { services: dhtServices(init) }),
  intercepted: async init => createOpenerNode({ intercept: true }, { services: dhtServices(init) }) as unknown as Promise<Client>,
  resumed: async init => createOpenerNode({ intercept: true, resume: true }, { services: dhtServices(init) }) as unknown as Promise<Client>
}

type By = 'stock' | 'intercepted'

interface Samples {
  stock: number[]
  intercepted: number[]
}

/**
 * Connects a new node to these servers, and waits until its DHT knows of them
 */
async function withClient <T> (by: keyof typeof CREATE, init: KadDHTInit, servers: string[], fn: (client: Client) => Promise<T>): Promise<T> {
  const client = await CREATE[by]({ clientMode: true, ...init })

  try {
    await connectAll(client, servers)

    while ((client.services.dht as SingleKadDHT).routingTable.size < servers.length) {
      await delay(5)
    }

    // what came with the connections is to be over
    await delay(150)

    return await fn(client)
  } finally {
    await client.stop()
  }
}

/**
 * All connections to servers have to be through the link
 */
function assertLinked (client: Client, servers: string[]): void {
  for (const { remotePeer, remoteAddr } of client.getConnections()) {
    const addr = servers.find(addr => addr.endsWith(`/${remotePeer}`))

    if (addr?.startsWith(`${remoteAddr}`.replace(/\/p2p\/.*/, '')) === false) {
      throw new Error(`The connection to ${remoteAddr} is not through the link`)
    }
  }
}

/**
 * How long it takes until the query is over, or has the event
 */
async function timeQuery (events: AsyncIterable<QueryEvent>, wanted: QueryEvent['name'], stop: boolean): Promise<number> {
  const start = performance.now()
  let found = false

  for await (const { name } of events) {
    found ||= name === wanted

    if (found && stop) {
      break
    }
  }

  if (!found) {
    throw new Error(`There was no ${wanted}`)
  }

  return performance.now() - start
}

function keyOf (name: string, by: By, i: number): Uint8Array {
  return fromString(`/bench/${name}-${by}-${i}`)
}

function otherThan (by: By): By {
  return by === 'stock' ? 'intercepted' : 'stock'
}

/**
 * The same query of both, each time for something else
 */
async function measure (fn: (by: By, i: number) => Promise<number>, init: InterleaveInit): Promise<Samples> {
  const times: Record<By, number> = { stock: 0, intercepted: 0 }

  return interleave({
    stock: async () => fn('stock', times.stock++),
    intercepted: async () => fn('intercepted', times.intercepted++)
  }, init)
}

async function measureWarm (name: string, servers: string[], others: string[], init: InterleaveInit): Promise<Record<string, Samples>> {
  const dht = AT_A_TIME[name] ?? {}

  return withClient('stock', dht, servers, async stock => withClient('intercepted', dht, servers, async intercepted => {
    const clients: Record<By, Client> = { stock, intercepted }

    const results = {
      put: await measure(async (by, i) => timeQuery(clients[by].services.dht.put(keyOf(name, by, i), fromString('value')), 'PEER_RESPONSE', false), init),
      // of what the other one has put, its own it has itself
      get: await measure(async (by, i) => timeQuery(clients[by].services.dht.get(keyOf(name, otherThan(by), i)), 'VALUE', false), init),
      findPeer: await measure(async (by, i) => timeQuery(clients[by].services.dht.findPeer(peerIdFromString(others[i] as string)), 'FINAL_PEER', true), init)
    }

    assertLinked(stock, servers)
    assertLinked(intercepted, servers)

    return results
  }))
}

/**
 * Each sample with a node that is connected to one server, and dials the others
 */
async function measureCold (name: string, servers: string[], init: InterleaveInit): Promise<Samples> {
  return measure(async (by, i) => withClient(by, AT_A_TIME[name] ?? {}, [servers[i % SERVERS] as string], async client => {
    const time = await timeQuery(client.services.dht.get(keyOf(name, 'stock', i)), 'VALUE', false)
    assertLinked(client, servers)

    return time
  }), init)
}

/**
 * Nodes that know all servers, and have to dial each that they ask: as in the public DHT,
 * where nobody stays connected
 */
async function measureReconnecting (name: string, servers: string[], init: InterleaveInit): Promise<Record<keyof typeof CREATE, number[]>> {
  const dht = AT_A_TIME[name] ?? {}

  return withClient('stock', dht, servers, async stock => withClient('intercepted', dht, servers, async intercepted => withClient('resumed', dht, servers, async resumed => {
    async function lookUp (client: Client, i: number): Promise<number> {
      await Promise.all(client.getPeers().map(async peer => client.hangUp(peer)))
      const time = await timeQuery(client.services.dht.get(keyOf('all at once', 'stock', i)), 'VALUE', false)
      assertLinked(client, servers)

      return time
    }

    let round = 0

    return interleave({
      stock: async () => lookUp(stock, Math.floor(round++ / 3)),
      intercepted: async () => lookUp(intercepted, Math.floor(round++ / 3)),
      resumed: async () => lookUp(resumed, Math.floor(round++ / 3))
    }, init)
  })))
}

export const kadDht: Scenario = {
  name: 'kad-dht',
  about: `Queries of a DHT of ${SERVERS} servers, each behind a link of 50 ms, by a stock node and one with intercept`,

  async run ({ quick, recorder }) {
    const rounds: Record<string, number> = quick ? { 'all at once': 6, '3 at a time': 3 } : { 'all at once': 14, '3 at a time': 6 }
    const warmUp = quick ? 1 : 2
    const targets: Target[] = []
    const rows: string[][] = []

    function report (query: string, name: string, { stock, intercepted }: Samples): void {
      const ratio = ratioOf(stock, intercepted)
      const add = (by: By, samples: number[]): string => spread(recorder.add('time of a query', 'ms', { query, servers: name, by }, samples), 1)

      rows.push([query, name, add('stock', stock), add('intercepted', intercepted), spread(ratio, 2)])
      targets.push({ name: `how many times as fast ${query} is with intercept, ${name}`, value: ratio, atLeast: query.includes('dials') ? 1 : 1.7 })
    }

    await withChild('./dht-servers.ts', [`${SERVERS}`, `${warmUp + Math.max(...Object.values(rounds))}`], async ({ servers, others }: { servers: string[], others: string[] }) => {
      for (const name of Object.keys(AT_A_TIME)) {
        print(`measuring over tcp, connected to all servers, ${name} ...`)
        const warm = await measureWarm(name, servers, others, { warmUp, rounds: rounds[name] ?? 0 })

        Object.entries(warm).forEach(([query, samples]) => { report(query, name, samples) })
      }

      const [name] = Object.keys(AT_A_TIME) as [string]
      print('measuring over tcp, connected to one server ...')
      report('get, dials included', name, await measureCold(name, servers, { warmUp: 0, rounds: quick ? 3 : 8 }))
    })

    await withChild('./dht-servers.ts', [`${SERVERS}`, '1'], async ({ servers }: { servers: string[] }) => {
      print('measuring over tcp, connections are closed before each query ...')
      await withClient('stock', {}, servers, async client => {
        for (let i = 0; i < warmUp + RECONNECTS; i++) {
          await timeQuery(client.services.dht.put(keyOf('all at once', 'stock', i), fromString('value')), 'PEER_RESPONSE', false)
        }
      })

      for (const name of Object.keys(AT_A_TIME)) {
        const { stock, ...others } = await measureReconnecting(name, servers, { warmUp, rounds: quick ? 3 : RECONNECTS })
        const add = (by: string, samples: number[]): string => spread(recorder.add('time of a query', 'ms', { query: 'get, reconnecting', servers: name, by }, samples), 1)
        const ofStock = add('stock', stock)

        for (const [by, samples] of Object.entries(others)) {
          const ratio = ratioOf(stock, samples)

          rows.push(['get, reconnecting', `${name}, ${by}`, ofStock, add(by, samples), spread(ratio, 2)])
          targets.push({ name: `how many times as fast get is with reconnects, ${by}, ${name}`, value: ratio, atLeast: 1 })
        }
      }
    })

    printTable(['query', 'servers', 'stock, ms', 'intercept, ms', 'times as fast (95% of draws)'], rows)

    return targets
  }
}
