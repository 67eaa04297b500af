/**
 * Dials that do not wait for the encrypter see what stock sees, and are seen alike: each
 * case is what a dial of stock did a moment before
 */
import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { addressOf, createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { takeUpgrades } from './support/raw-upgrades.ts'
import { createRefusingAddress, createSilentListener } from './support/site.ts'
import { bytes, ECHO, echo, exchange } from './support/streams.ts'
import { DIAL_TRANSPORTS, dialAndLook, encrypted, ENCRYPTER_NAMES, ENCRYPTER_PROTOCOLS, meet } from './support/upgrades.ts'
import type { StreamOpenerInit } from '../src/index.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { RawUpgrades } from './support/raw-upgrades.ts'
import type { ConnectionGater, Libp2p } from '@libp2p/interface'

const GATES = ['denyDialPeer', 'denyDialMultiaddr', 'denyOutboundConnection', 'denyOutboundEncryptedConnection', 'denyOutboundUpgradedConnection'] as const

type Gate = typeof GATES[number]

const OPTIONS: StreamOpenerInit[] = [{ resume: true }, { negotiation: 'always' }]

/**
 * What depends on who counts, or on time
 */
const UNCOUNTED = /stream_opener|_seconds|_ms|process|nodejs|peer_store/

describe.each(DIAL_TRANSPORTS.flatMap(transport => ENCRYPTER_NAMES.map(name => ({ transport, name }))))('a dial over $transport with $name', ({ transport, name }) => {
  let stock: Libp2p
  let listener: Libp2p
  let raw: RawUpgrades
  let gates: string[]
  let denied: Gate | undefined
  const registries = new Map<Libp2p, Registry>()

  function gater (): ConnectionGater {
    return Object.fromEntries(GATES.map(gate => [gate, (...args: unknown[]) => {
      gates.push(`${gate} ${args.length}`)

      return gate === denied
    }]))
  }

  async function prepare <T extends Libp2p> (create: (node: object) => Promise<T>): Promise<T> {
    const registry = new Registry()
    const node = await create({ ...encrypted(name), connectionGater: gater(), metrics: prometheusMetrics({ registry, collectDefaultMetrics: false }) })

    registries.set(node, registry)

    return node
  }

  beforeEach(async () => {
    gates = []
    denied = undefined
    listener = await createStockNode(transport, encrypted(name))
    await listener.handle(ECHO, echo)
    raw = takeUpgrades(listener)
    stock = await prepare(async node => createStockNode(undefined, node))
  })

  afterEach(async () => {
    await stopNodes(stock, ...dialers.splice(0), listener)
  })

  const dialers: Libp2p[] = []

  async function createDialer (init: StreamOpenerInit): Promise<Libp2p<OpenerServices>> {
    const dialer = await prepare(async node => createOpenerNode(init, node))
    dialers.push(dialer)

    if (init.resume === true) {
      await meet(dialer, listener, ENCRYPTER_PROTOCOLS[name])
    }

    return dialer
  }

  /**
   * What the metrics count, apart from when
   */
  async function counted (node: Libp2p): Promise<Record<string, unknown>> {
    const metrics = await registries.get(node)?.getMetricsAsJSON() ?? []

    return Object.fromEntries(metrics.filter(({ name }) => !UNCOUNTED.test(name) && /dial|upgrader|tcp|websocket|noise|tls|data_transfer/.test(name)).map(({ name, values }) => [name, values]))
  }

  /**
   * A dial that is as far as it gets, and what was seen of it
   */
  async function look (node: Libp2p, options: object = {}): Promise<unknown> {
    const progress: string[] = []
    const opened: string[] = []
    const onOpen = (): void => { opened.push('connection:open') }
    gates.length = 0
    registries.get(node)?.resetMetrics()
    node.addEventListener('connection:open', onOpen)

    const outcome = await node.dial(addressOf(listener), {
      ...options,
      onProgress: ({ type }: { type: string }) => { progress.push(type) }
    }).then(
      ({ encryption, multiplexer, direction, remotePeer, remoteAddr, limits, direct, status }) => ({ encryption, multiplexer, direction, remotePeer: `${remotePeer}`, remoteAddr: `${remoteAddr}`, limits, direct, status }),
      ({ name, message }) => ({ name, message })
    )

    node.removeEventListener('connection:open', onOpen)

    return { outcome, progress, opened, gates: [...gates] }
  }

  it.each(OPTIONS)('%j is asked about, reported and announced alike', async init => {
    const dialer = await createDialer(init)

    expect(await look(dialer)).toEqual(await look(stock))
  })

  it.each(OPTIONS)('%j is counted alike', async init => {
    const dialer = await createDialer(init)
    const counts: unknown[] = []

    for (const node of [stock, dialer]) {
      await look(node)
      const [connection] = node.getConnections(listener.peerId)
      const stream = await connection?.newStream(ECHO)
      await exchange(stream as any, bytes('hello'))
      const { libp2p_data_transfer_bytes_total: bytesCounted, ...counts0 } = await counted(node)
      counts.push(counts0)
      // the bytes of identify depend on the node
      expect(bytesCounted).toBeDefined()
    }

    expect(counts[1]).toEqual(counts[0])
  })

  it.each(OPTIONS.flatMap(init => GATES.map(gate => ({ init, gate }))))('$init fails alike when $gate says so', async ({ init, gate }) => {
    const dialer = await createDialer(init)
    denied = gate

    const theirs = await look(stock)

    expect(await look(dialer)).toEqual(theirs)
    expect(theirs).toHaveProperty('outcome.name')
  })

  it.each(OPTIONS)('%j fails alike when it is aborted before', async init => {
    const dialer = await createDialer(init)
    const signal = AbortSignal.abort()

    expect(await look(dialer, { signal })).toEqual(await look(stock, { signal }))
  })

  it.each(OPTIONS)('%j fails alike where nobody listens, and where nobody answers', async init => {
    const dialer = await createDialer(init)
    const silent = await createSilentListener()
    const refusing = await createRefusingAddress()
    const suffix = transport === 'ws' ? '/ws' : ''

    const addrs = [silent.addr, refusing].map(addr => addr.encapsulate(`${suffix}/p2p/${listener.peerId}`))
    const [ours, theirs] = await Promise.all([dialer, stock].map(async node => Promise.all(addrs.map(async addr => node.dial(addr, { force: true, signal: AbortSignal.timeout(500) }).then(() => 'connected', err => err.name)))))

    expect(ours).toEqual(theirs)

    await silent.close()
  })

  it.each(OPTIONS)('%j to itself fails alike', async init => {
    const dialer = await createDialer(init)
    const errors: unknown[] = []

    for (const node of [dialer, stock]) {
      const self = await createStockNode(transport, { ...encrypted(name), privateKey: (node as any).components.privateKey })
      const { name: error, message } = await node.dial(addressOf(self).decapsulate('/p2p')).catch(err => err)
      errors.push({ error, message })
      await self.stop()
    }

    expect(errors[0]).toEqual(errors[1])
  })

  it.each(OPTIONS)('%j gives the connection that is there, and is one with another dial at the same time', async init => {
    const dialer = await createDialer(init)
    const dialled = await dialAndLook(dialer, listener, raw)
    const [first, second] = await Promise.all([dialer.dial(addressOf(listener)), dialer.dial(listener.peerId)])

    expect(dialled.optimistic).toEqual([true])
    expect([first, second]).toEqual([dialled.connection, dialled.connection])
    await dialer.hangUp(listener.peerId)

    const dials = raw.count
    const [third, fourth] = await Promise.all([dialer.dial(addressOf(listener)), dialer.dial(addressOf(listener))])

    expect(third).toBe(fourth)
    expect(raw.count - dials).toBe(1)
  })
})
