import { tcp } from '@libp2p/tcp'
import { circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { multiaddr } from '@multiformats/multiaddr'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { receiveBulk, sendBulk } from '../src/index.ts'
import { works } from './support/bulk-nodes.ts'
import { createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { ECHO, echo } from './support/streams.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Libp2p } from '@libp2p/interface'

const INVALID = { name: 'InvalidParametersError' }
const ADDR = multiaddr('/ip4/127.0.0.1/tcp/1')

const STREAM_OPTIONS: Array<[string, Record<string, unknown>, RegExp]> = [
  ['a transport that is unknown', { transport: 'carrier-pigeon' }, /^transport must be 'any', or of 'tcp', .*, got 'carrier-pigeon'$/],
  ['a transport that is not one', { transport: 7 }, /^transport must be .*, got 7$/],
  ['an unknown one among others', { transport: ['tcp', 'any'] }, /^transport must be .*, got 'any'$/],
  ['what transportOf does not know', { transport: 'unknown' }, /^transport must be .*, got 'unknown'$/],
  ['no transport at all', { transport: [] }, /^transport must be .*at least one.*, got '\[\]'$/],
  ['a transport that the node has not got', { transport: 'quic' }, /^transport must be one that the node has, 'tcp' or 'relay', got 'quic'$/],
  ['one of them that it has not got', { transport: ['tcp', 'webrtc'] }, /, got 'webrtc'$/],
  ['a relay that may not be used', { transport: 'relay' }, /^transport must be a direct one unless runOnLimitedConnection is true, got 'relay'$/],
  ['a relay to fall back to that may not be used', { fallback: 'relay' }, /^fallback must be 'any' or 'none' unless runOnLimitedConnection is true, got 'relay'$/],
  ['a scope that nothing on the transport is in', { transport: 'relay', runOnLimitedConnection: true, scope: 'lan' }, /^scope must be left out with transport 'relay'.*, got 'lan'$/],
  ['an unknown scope', { scope: 'wan' }, /^scope must be 'lan' or 'loopback' or 'public', got 'wan'$/],
  ['an unknown fallback', { fallback: 'tcp' }, /^fallback must be 'any' or 'relay' or 'none', got 'tcp'$/],
  ['no time to dial', { dialTimeout: 0 }, /^dialTimeout must be a whole number of ms/],
  ['endless time to dial', { dialTimeout: Infinity }, /^dialTimeout must be a whole number of ms/],
  ['what is not a limit', { maxOutboundStreams: -1 }, /^maxOutboundStreams must be/],
  ['what newStream does not take', { halfClose: 'never' }, /^halfClose must be/],
  ['what is neither yes nor no', { runOnLimitedConnection: 1 }, /^runOnLimitedConnection must be true or false, got 1$/]
]

const SESSION_OPTIONS: Array<[string, Record<string, unknown>, RegExp]> = [
  ['another way to share connections', { connections: 'pooled' }, /^connections must be 'shared' or 'per-stream', got 'pooled'$/],
  ['more connections that are shared', { maxConnections: 2 }, /^connections must be 'per-stream' for maxConnections to have a meaning, got 'shared'$/],
  ['no connection', { connections: 'per-stream', maxConnections: 0 }, /^maxConnections must be a whole number from 1/]
]

/**
 * What nothing can be made of, and some cannot even be printed
 */
const STRANGE: unknown[] = [Object.create(null), { toString () { throw new Error('No') } }, { toString: 1, valueOf: 2 }, Symbol('strange'), 1n, () => {}, [Object.create(null)]]

const STRANGE_OPTIONS = ['transport', 'scope', 'fallback', 'dialTimeout', 'force', 'runOnLimitedConnection', 'negotiationTimeout', 'halfClose', 'earlyWrites', 'queue', 'priority', 'maxOutboundStreams', 'signal', 'onProgress', 'connections', 'maxConnections']

let node: Libp2p<OpenerServices>
let listener: Libp2p

beforeAll(async () => {
  node = await createOpenerNode({}, { transports: [tcp(), circuitRelayTransport()] })
  listener = await createStockNode('tcp')
  await listener.handle(ECHO, echo)
})
afterAll(async () => { await stopNodes(node, listener) })

describe('options of bulk streams and sessions', () => {
  it.each(STREAM_OPTIONS)('can not be %s', async (_, options, message) => {
    const { streamOpener } = node.services
    const expected = { name: 'InvalidParametersError', message: expect.stringMatching(message) }

    await expect(streamOpener.openBulkStream(ADDR, ECHO, options)).rejects.toMatchObject(expected)
    await expect(streamOpener.openBulkSession(ADDR, ECHO, options)).rejects.toMatchObject(expected)
  })

  it.each(SESSION_OPTIONS)('can not be %s', async (_, options, message) => {
    await expect(node.services.streamOpener.openBulkSession(ADDR, ECHO, options)).rejects.toMatchObject({ name: 'InvalidParametersError', message: expect.stringMatching(message) })
  })

  it.each(STRANGE_OPTIONS)('cannot have something strange for %s', async name => {
    const { streamOpener } = node.services
    const values = ['onProgress', 'halfClose', 'earlyWrites'].includes(name) ? STRANGE.filter(value => typeof value !== 'function') : STRANGE

    for (const value of values) {
      const options = { [name]: value }

      if (name !== 'connections' && name !== 'maxConnections') {
        await expect(streamOpener.openBulkStream(ADDR, ECHO, options)).rejects.toMatchObject(INVALID)
      }

      await expect(streamOpener.openBulkSession(ADDR, ECHO, { ...name === 'maxConnections' ? { connections: 'per-stream' } : {}, ...options })).rejects.toMatchObject(INVALID)
    }
  })

  it('are objects, also those of a stream of a session, and of its end', async () => {
    const { streamOpener } = node.services
    const session = await streamOpener.openBulkSession(listener.getMultiaddrs(), ECHO)

    for (const options of [null, 5, 'tcp', Symbol('strange'), () => {}] as any[]) {
      await expect(streamOpener.openBulkStream(ADDR, ECHO, options)).rejects.toMatchObject(INVALID)
      await expect(streamOpener.openBulkSession(ADDR, ECHO, options)).rejects.toMatchObject(INVALID)
      await expect(session.openStream(options)).rejects.toMatchObject(INVALID)
      await expect(session.close(options)).rejects.toMatchObject(INVALID)
    }

    expect(session.connections).toHaveLength(1)
    expect(await session.close()).toBe(1)
  })

  it('may have no prototype, and null for what is not set', async () => {
    const none = Object.assign(Object.create(null), { scope: null, fallback: null, dialTimeout: null, force: null, signal: null, onProgress: null, connections: null, maxConnections: null })
    const session = await node.services.streamOpener.openBulkSession(listener.getMultiaddrs(), ECHO, none)
    const streams = await Promise.all([session.openStream(Object.create(null)), session.openStream()])

    expect(new Set(streams.map(({ connection }) => connection)).size).toBe(1)
    expect(await session.close(Object.create(null))).toBe(1)
  })

  it('of a transfer leave the stream alone if they are strange', async () => {
    const { stream } = await node.services.streamOpener.openBulkStream(listener.getMultiaddrs(), ECHO)
    const options = [
      null, 5, 'strange', () => {},
      ...STRANGE.map(highWaterMark => ({ highWaterMark })),
      ...STRANGE.map(signal => ({ signal })),
      ...STRANGE.filter(value => typeof value !== 'function').map(onProgress => ({ onProgress }))
    ] as any[]

    for (const strange of options) {
      await expect(sendBulk(stream, [], strange)).rejects.toMatchObject(INVALID)
      expect(() => receiveBulk(stream, strange)).toThrow(expect.objectContaining(INVALID))
    }

    for (const source of STRANGE.slice(0, -1)) {
      await expect(sendBulk(stream, source as any)).rejects.toMatchObject(INVALID)
    }

    await works(stream)
  })

  it('name protocols', async () => {
    await expect(node.services.streamOpener.openBulkStream(ADDR, [])).rejects.toMatchObject({ name: 'InvalidParametersError' })
    await expect(node.services.streamOpener.openBulkStream(ADDR, 'a\nb')).rejects.toMatchObject({ name: 'InvalidParametersError' })

    for (const protocol of STRANGE as any[]) {
      await expect(node.services.streamOpener.openBulkStream(ADDR, protocol)).rejects.toMatchObject(INVALID)
      await expect(node.services.streamOpener.openBulkStream(ADDR, [protocol])).rejects.toMatchObject(INVALID)
    }
  })

  it('name one peer', async () => {
    const { streamOpener } = node.services
    const other = ADDR.encapsulate(`/p2p/${node.peerId}`)

    await expect(streamOpener.openBulkStream([], ECHO)).rejects.toMatchObject({ name: 'InvalidMultiaddrError' })
    await expect(streamOpener.openBulkStream('/ip4/127.0.0.1/tcp/1' as any, ECHO)).rejects.toMatchObject({ name: 'InvalidMultiaddrError' })
    await expect(streamOpener.openBulkStream([ADDR, other], ECHO)).rejects.toMatchObject({ name: 'InvalidParametersError' })

    for (const peer of [null, undefined, ...STRANGE] as any[]) {
      await expect(streamOpener.openBulkStream(peer, ECHO)).rejects.toMatchObject({ name: 'InvalidMultiaddrError' })
      await expect(streamOpener.openBulkSession(peer, ECHO)).rejects.toMatchObject({ name: 'InvalidMultiaddrError' })
    }
  })
})
