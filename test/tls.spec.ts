/**
 * Nodes with `libp2p-stream-opener/tls`, and what they have in common with nodes that
 * have @libp2p/tls
 */
import { createHash } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { generateKey, preSharedKey } from '@libp2p/pnet'
import { noise } from '@libp2p/noise'
import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { tls as stock } from '@libp2p/tls'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { Registry } from 'prom-client'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { EncryptedConnection } from '../src/compat/tls/encrypted-connection.ts'
import { PROTOCOL, tls } from '../src/tls/index.ts'
import { TLS } from '../src/tls/tls.ts'
import { keptLog } from './support/log.ts'
import { addressOf, createStockNode, stopNodes } from './support/nodes.ts'
import { createRelay } from './support/relay.ts'
import { bytes, closed, ECHO, echo, exchange, pattern, readAll, sendAll } from './support/streams.ts'
import type { NodeInit, TransportName } from './support/nodes.ts'
import type { Relay } from './support/relay.ts'
import type { EncrypterFactory } from './support/tcp-pair.ts'
import type { Connection, Libp2p, StreamCloseEvent } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const nodes: Libp2p[] = []
let relay: Relay | undefined

afterEach(async () => {
  vi.useRealTimers()
  await stopNodes(...nodes.splice(0))
  await relay?.close()
  relay = undefined
})

async function create (transport: TransportName | undefined, encrypter: EncrypterFactory | undefined, init: NodeInit = {}): Promise<Libp2p> {
  const node = await createStockNode(transport, {
    ...(encrypter == null ? {} : { connectionEncrypters: [encrypter()] }),
    ...init
  })

  await node.handle(ECHO, echo, { runOnLimitedConnection: true })
  nodes.push(node)

  return node
}

async function hash (source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<string> {
  const checksum = createHash('sha256')

  for await (const chunk of source) {
    checksum.update(chunk)
  }

  return checksum.digest('hex')
}

/**
 * What goes through streams of the connection is encrypted on the socket
 */
function isOnSocket (connection: Connection): boolean {
  return (connection as any).muxer.maConn instanceof EncryptedConnection
}

const PAIRS: Array<[name: string, dialer: EncrypterFactory, listener: EncrypterFactory]> = [
  ['this package at both ends', tls, tls],
  ['this package at the dialer', tls, stock],
  ['this package at the listener', stock, tls]
]

describe.each(PAIRS)('with %s', (_, dialing, listening) => {
  // peers prove who they are, and the muxer is chosen in the TLS handshake
  it.each([
    ['tcp', '/ip4/127.0.0.1/tcp/0'],
    ['a unix socket', `/unix/${encodeURIComponent(join(tmpdir(), `tls-${process.pid}.sock`))}`]
  ])('over %s nodes connect as with @libp2p/tls', async (_, addr) => {
    const listener = await create('tcp', listening, { addresses: { listen: [addr] } })
    const dialer = await create(undefined, dialing)
    const progress: string[] = []
    const connection = await dialer.dial(addressOf(listener), { onProgress: ({ type }) => { progress.push(type) } })

    expect(connection.remotePeer.equals(listener.peerId)).toBe(true)
    expect(connection).toMatchObject({ encryption: PROTOCOL, multiplexer: '/yamux/1.0.0' })
    // or the upgrader would say that it negotiates it
    expect(progress).toContain('upgrader:encrypt-outbound-connection')
    expect(progress).not.toContain('upgrader:multiplex-outbound-connection')
    expect(isOnSocket(connection)).toBe(dialing === tls)

    expect(await exchange(await connection.newStream(ECHO), bytes('hello'))).toEqual(bytes('hello'))
    const [inbound] = listener.getConnections(dialer.peerId)
    expect(isOnSocket(inbound as Connection)).toBe(listening === tls)
  })

  it('data arrives as it was sent, however much, in both directions at once', async () => {
    const listener = await create('tcp', listening)
    const dialer = await create(undefined, dialing)
    const connection = await dialer.dial(addressOf(listener))
    const data = pattern(8 * 1024 * 1024 + 7)
    const expected = await hash([data])

    await Promise.all([1, 1_000, 65_536, 1_048_576].map(async size => {
      const stream = await connection.newStream(ECHO)
      const sent = size === 1 ? data.subarray(0, 10_000) : data
      const [received] = await Promise.all([readAll(stream), sendAll(stream, sent, size).then(async () => stream.close())])

      expect(received.byteLength).toBe(sent.byteLength)
      expect(await hash([received])).toBe(size === 1 ? await hash([sent]) : expected)
    }))
  })

  // neither end is told more, less or something else than with upstream at both ends
  describe('when a connection ends', () => {
    type End = (connection: Connection) => unknown

    const socketOf = (connection: Connection): any => (connection as any).maConn.socket
    const ENDS: Record<string, End> = {
      'is closed': async connection => connection.close(),
      'is aborted': connection => { connection.abort(new Error('No more')) },
      'loses its socket': connection => { socketOf(connection).destroy() },
      'has its socket reset': connection => { socketOf(connection).resetAndDestroy() },
      'has a muxer that gives up': connection => { (connection as any).muxer.maConn.abort(new Error('Not yamux')) }
    }

    interface Ending {
      status: string
      type: string
      error?: string
      stream: string
    }

    async function ending (connection: Connection): Promise<Ending> {
      const evt = await new Promise<StreamCloseEvent>(resolve => { connection.addEventListener('close', resolve) })
      const { status, streams } = connection

      expect(streams).toHaveLength(0)

      return { status, type: evt.type, error: evt.error?.message, stream: '' }
    }

    async function noteEnds (dialing: EncrypterFactory, listening: EncrypterFactory, side: 'dialer' | 'listener', end: End): Promise<Record<string, Ending>> {
      const listener = await create('tcp', listening)
      const dialer = await create(undefined, dialing)
      const connection = await dialer.dial(addressOf(listener))
      const stream = await connection.newStream(ECHO)
      await sendAndReceive(stream)

      const [inbound] = listener.getConnections(dialer.peerId)
      const [inboundStream] = (inbound as Connection).streams.filter(({ protocol }) => protocol === ECHO)
      const ends = Promise.all([ending(connection), ending(inbound as Connection), closed(stream), closed(inboundStream as any)])
      await end(side === 'dialer' ? connection : inbound as Connection)

      const [near, far, nearStream, farStream] = await ends

      return {
        dialer: { ...near, stream: nameOf(nearStream) },
        listener: { ...far, stream: nameOf(farStream) }
      }
    }

    function nameOf ({ error, local }: StreamCloseEvent): string {
      return `${error?.name ?? 'clean'} ${local ?? false}`
    }

    async function sendAndReceive (stream: any): Promise<void> {
      const received = new Promise(resolve => { stream.addEventListener('message', resolve, { once: true }) })

      stream.send(bytes('hello'))
      await received
    }

    it.each(Object.entries(ENDS).flatMap(([name, end]) => (['dialer', 'listener'] as const).map(side => [side, name, end] as const)))('as the %s %s', async (side, _, end) => {
      const withNoise = await noteEnds(noise, noise, side, end)
      // it takes some that are closed for aborted, and some resets for ends
      const withTls = await noteEnds(stock, stock, side, end)
      const actual = await noteEnds(dialing, listening, side, end)

      expect([withNoise.dialer, withTls.dialer]).toContainEqual(actual.dialer)
      expect([withNoise.listener, withTls.listener]).toContainEqual(actual.listener)
    })
  })
})

// what is not a TCP socket is left to @libp2p/tls
describe('where there is no socket', () => {
  const connectionProtector = (): any => {
    const key = new Uint8Array(95)
    generateKey(key)

    return preSharedKey({ psk: key })
  }

  async function isEncrypted (listener: Libp2p, addr: Multiaddr, init: NodeInit = {}): Promise<void> {
    const { logger, lines } = keptLog()
    const dialer = await create(undefined, tls, { ...init, logger })

    for (let i = 0; i < 2; i++) {
      const connection = await dialer.dial(addr)

      expect(isOnSocket(connection)).toBe(false)
      expect(connection.encryption).toBe(PROTOCOL)
      expect(await exchange(await connection.newStream(ECHO, { runOnLimitedConnection: true }), bytes('hello'))).toEqual(bytes('hello'))
      await connection.close()
    }

    expect(lines.filter(line => line.includes('@libp2p/tls encrypts this'))).toHaveLength(1)
  }

  it.each(['ws', 'memory'] as const)('over %s @libp2p/tls encrypts, and the log says so once', async transport => {
    const listener = await create(transport, stock)

    await isEncrypted(listener, addressOf(listener))
  })

  it('in a private network @libp2p/tls encrypts, and the log says so once', async () => {
    const protect = connectionProtector()
    const listener = await create('tcp', stock, { connectionProtector: protect })

    await isEncrypted(listener, addressOf(listener), { connectionProtector: protect })
  })

  it('through a relay @libp2p/tls encrypts, and the log says so once', async () => {
    const hop = await create('ws', stock, { services: { relay: circuitRelayServer() } })
    const listener = await create(undefined, stock, {
      addresses: { listen: [`${addressOf(hop)}/p2p-circuit`] },
      transports: [webSockets(), circuitRelayTransport()]
    })
    const addr = await vi.waitFor(() => addressOf(listener), { timeout: 10_000 })

    await isEncrypted(listener, addr, { transports: [webSockets(), circuitRelayTransport()] })
  })

  it('with a @libp2p/tls before 3.1 that one encrypts, and the log says so once', async () => {
    const { logger, lines } = keptLog()
    const listener = await create('tcp', stock)
    const dialer = await create(undefined, () => components => new TLS(components), { logger })
    const connection = await dialer.dial(addressOf(listener))

    expect(isOnSocket(connection)).toBe(false)
    expect(await exchange(await connection.newStream(ECHO), bytes('hello'))).toEqual(bytes('hello'))
    expect(lines.filter(line => line.includes('older than 3.1'))).toHaveLength(1)
  })
})

describe('the metrics', () => {
  async function read (registry: Registry, name: string): Promise<Record<string, number>> {
    const metric = await registry.getSingleMetric(name)?.get()

    return Object.fromEntries((metric?.values ?? []).map(({ labels, value }) => [Object.values(labels)[0], value]))
  }

  // both count what is encrypted, from the first byte to the last
  it('count the bytes on the wire', async () => {
    const registries = [new Registry(), new Registry()] as const
    const [dialing, listening] = registries.map(registry => ({ metrics: prometheusMetrics({ registry, collectDefaultMetrics: false }) }))
    const listener = await create('tcp', tls, listening)
    const dialer = await create(undefined, tls, dialing)
    relay = await createRelay(addressOf(listener))

    const connection = await dialer.dial(relay.addr)
    const data = pattern(1_000_000)
    const stream = await connection.newStream(ECHO)
    await Promise.all([readAll(stream), sendAll(stream, data).then(async () => stream.close())])
    await connection.close()
    await vi.waitFor(() => { expect([relay?.sockets, listener.getConnections().length]).toEqual([0, 0]) }, { timeout: 10_000 })

    const { bytesUp, bytesDown } = relay
    expect(bytesUp).toBeGreaterThan(data.byteLength)
    const { 'global sent': sent, 'global received': received } = await read(registries[0], 'libp2p_data_transfer_bytes_total')
    expect(sent).toBe(bytesUp)
    // who closes does not read the other one's close_notify any more
    expect(received).toBeGreaterThanOrEqual(bytesDown - 24)
    expect(received).toBeLessThanOrEqual(bytesDown)
    expect(await read(registries[1], 'libp2p_data_transfer_bytes_total')).toMatchObject({ 'global sent': bytesDown, 'global received': bytesUp })
  })

  it('count the same events as those of @libp2p/tls', async () => {
    const counts: Array<Record<string, number>> = []
    const errors: unknown[] = []

    for (const encrypter of [stock, tls]) {
      const registry = new Registry()
      const listener = await create('tcp', stock)
      const other = await create('tcp', stock)
      const dialer = await create(undefined, encrypter, { metrics: prometheusMetrics({ registry, collectDefaultMetrics: false }) })

      await (await dialer.dial(addressOf(listener))).close()
      await expect(dialer.dial(multiaddr(addressOf(listener).toString().replace(`${listener.peerId}`, `${other.peerId}`)))).rejects.toThrow()
      await vi.waitFor(async () => { expect((await read(registry, 'libp2p_tls_server_events_total')).close).toBe(2) })
      const { error, ...events } = await read(registry, 'libp2p_tls_server_events_total')
      errors.push(error)
      counts.push({ ...events, ...await read(registry, 'libp2p_tls_server_errors_total') })
    }

    expect(counts[1]).toEqual(counts[0])
    // for @libp2p/tls it is an error, too, to be closed
    expect(errors.pop()).toBe(1)
    expect(counts[0]).toMatchObject({ secure: 2, verify_peer_certificate: 1 })
  })
})
