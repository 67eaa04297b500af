import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import { afterEach, describe, expect, it } from 'vitest'
import { streamOpener } from '../src/index.ts'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { handleRaw } from './support/raw-listener.ts'
import { bytes, closed, ECHO, echo, exchange, replacedMethods } from './support/streams.ts'
import type { StreamOpenerInit } from '../src/index.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Libp2p } from '@libp2p/interface'

let dialer: Libp2p<OpenerServices> | undefined
let listener: Libp2p | undefined

afterEach(async () => {
  await stopNodes(dialer, listener)
  dialer = listener = undefined
})

/**
 * What can not be turned into a string, or only on purpose
 */
const ODD_VALUES: Record<string, unknown> = {
  'an object without a prototype': Object.create(null),
  'an object whose toString throws': { toString: () => { throw new TypeError('No') } },
  'a symbol': Symbol('odd'),
  'an array of such': [Object.create(null)]
}

describe('the options of the service', () => {
  it.each([
    ['negotiation', 'sometimes', "negotiation must be 'identified' or 'always' or 'full', got 'sometimes'"],
    ['negotiationTimeout', 0, 'negotiationTimeout must be a whole number of ms from 1 to 2147483647, got 0'],
    ['negotiationTimeout', -1, 'negotiationTimeout must be a whole number of ms from 1 to 2147483647, got -1'],
    ['negotiationTimeout', 1.5, 'negotiationTimeout must be a whole number of ms from 1 to 2147483647, got 1.5'],
    ['negotiationTimeout', Infinity, 'negotiationTimeout must be a whole number of ms from 1 to 2147483647, got Infinity'],
    ['negotiationTimeout', NaN, 'negotiationTimeout must be a whole number of ms from 1 to 2147483647, got NaN'],
    ['negotiationTimeout', '10', "negotiationTimeout must be a whole number of ms from 1 to 2147483647, got '10'"],
    ['halfClose', 'never', "halfClose must be 'confirmed' or 'immediate', got 'never'"],
    ['resume', 'yes', "resume must be true or false, got 'yes'"],
    ['queue', 1, 'queue must be true or false, got 1'],
    ['queueTimeout', 0, 'queueTimeout must be a whole number of ms from 1 to 2147483647, got 0'],
    ['maxStreamsPerProtocol', 0, 'maxStreamsPerProtocol must be a whole number from 1, or Infinity, got 0'],
    ['maxStreamsPerProtocol', 1.5, 'maxStreamsPerProtocol must be a whole number from 1, or Infinity, got 1.5'],
    ['maxNegotiationsPerPeer', NaN, 'maxNegotiationsPerPeer must be a whole number from 1, or Infinity, got NaN'],
    ['maxQueuedPerPeer', -1, 'maxQueuedPerPeer must be a whole number from 0, or Infinity, got -1'],
    ['intercept', 'all', "intercept must be true, false, protocols, or a function, got 'all'"],
    ['intercept', [''], "a protocol must be a string of 1 to 1023 bytes without newlines, got ''"],
    ['listenerGuard', 'on', "listenerGuard must be true or false, got 'on'"],
    ['quicReads', 1, 'quicReads must be true or false, got 1']
  ])('are checked at once: %s can not be %s', (name, value, message) => {
    expect(() => streamOpener({ [name]: value } as StreamOpenerInit)).toThrow(expect.objectContaining({ name: 'InvalidParametersError', message }))
  })

  it.each(Object.entries(ODD_VALUES))('are checked at once, also where one is %s', (_, value) => {
    for (const name of ['negotiation', 'negotiationTimeout', 'halfClose', 'resume', 'queue', 'queueTimeout', 'maxStreamsPerProtocol', 'maxNegotiationsPerPeer', 'maxQueuedPerPeer', 'intercept', 'listenerGuard', 'quicReads', 'priority']) {
      expect(() => streamOpener({ [name]: value } as any)).toThrow(expect.objectContaining({
        name: 'InvalidParametersError',
        message: expect.stringMatching(new RegExp(`^(${name}|a protocol) must be .*, got `))
      }))
    }
  })

  it.each([null, 42, 'all', Symbol('options'), () => {}])('are an object, not %s', init => {
    expect(() => streamOpener(init as any)).toThrow(expect.objectContaining({ name: 'InvalidParametersError', message: expect.stringContaining('the options must be an object, got ') }))
  })

  it('may be an object without a prototype', () => {
    streamOpener(Object.assign(Object.create(null), { queue: false }))
  })

  it('can all be left out, or be undefined', () => {
    streamOpener()
    streamOpener({})
    streamOpener({ negotiation: undefined, negotiationTimeout: undefined, halfClose: undefined, resume: undefined })
    streamOpener({ queue: undefined, queueTimeout: undefined, maxStreamsPerProtocol: undefined, maxNegotiationsPerPeer: undefined, maxQueuedPerPeer: undefined })
    streamOpener({ intercept: undefined, listenerGuard: undefined, quicReads: undefined })
    streamOpener({ intercept: [], maxStreamsPerProtocol: Infinity, maxQueuedPerPeer: 0 })
  })

  it('need identify to be there', async () => {
    await expect(createLibp2p({
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      services: { streamOpener: streamOpener() }
    })).rejects.toThrow(expect.objectContaining({
      name: 'UnmetServiceDependenciesError',
      message: expect.stringContaining('"libp2p-stream-opener" required capability "@libp2p/identify"')
    }))
  })
})

describe('the options of a call', () => {
  it.each([
    [{ negotiationTimeout: 0 }, 'negotiationTimeout'],
    [{ halfClose: 'never' }, 'halfClose'],
    [{ resume: 1 }, 'resume'],
    [{ queue: 'no' }, 'queue'],
    [{ queueTimeout: -1 }, 'queueTimeout'],
    [{ priority: NaN }, 'priority'],
    [{ maxOutboundStreams: -1 }, 'maxOutboundStreams']
  ])('are checked before anything is dialled: %o', async (options, name) => {
    dialer = await createOpenerNode()
    listener = await createStockNode('tcp')

    await expect(dialer.services.streamOpener.newStream(addressOf(listener), ECHO, options as any)).rejects.toThrow(expect.objectContaining({
      name: 'InvalidParametersError',
      message: expect.stringContaining(name)
    }))
    expect(dialer.getConnections()).toEqual([])
  })

  it.each([
    [undefined], [null], [[]], [''], [[ECHO, '']], [42], ['/a\n/b'], ['/'.repeat(1024)], ['/ä'.repeat(400)]
  ])('are checked before anything is dialled: protocols %o', async protocols => {
    dialer = await createOpenerNode()
    listener = await createStockNode('tcp')

    await expect(dialer.services.streamOpener.newStream(addressOf(listener), protocols as any)).rejects.toThrow(expect.objectContaining({ name: 'InvalidParametersError' }))
    expect(dialer.getConnections()).toEqual([])
  })

  it.each(Object.entries(ODD_VALUES))('are checked before anything is dialled, also where one is %s', async (_, value) => {
    dialer = await createOpenerNode()
    listener = await createStockNode('tcp')
    const { newStream, newStreamOn } = dialer.services.streamOpener
    const expected = expect.objectContaining({ name: 'InvalidParametersError' })

    for (const name of ['negotiationTimeout', 'halfClose', 'resume', 'queue', 'queueTimeout', 'priority', 'maxOutboundStreams']) {
      await expect(newStream.call(dialer.services.streamOpener, addressOf(listener), ECHO, { [name]: value } as any)).rejects.toThrow(expected)
    }

    for (const protocols of [value, [value], [ECHO, value]]) {
      await expect(newStream.call(dialer.services.streamOpener, addressOf(listener), protocols as any)).rejects.toThrow(expected)
      await expect(newStreamOn.call(dialer.services.streamOpener, {} as any, protocols as any)).rejects.toThrow(expected)
    }

    expect(dialer.getConnections()).toEqual([])
  })

  it.each([null, 42, 'all', Symbol('options')])('are an object, not %s', async options => {
    dialer = await createOpenerNode()
    listener = await createStockNode('tcp')

    await expect(dialer.services.streamOpener.newStream(addressOf(listener), ECHO, options as any)).rejects.toThrow(expect.objectContaining({ name: 'InvalidParametersError' }))
    await expect(dialer.services.streamOpener.newStreamOn({} as any, ECHO, options as any)).rejects.toThrow(expect.objectContaining({ name: 'InvalidParametersError' }))
    expect(dialer.getConnections()).toEqual([])
  })

  it('may name the longest protocol that libp2p takes', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode('tcp')
    const long = '/'.padEnd(1023, 'long')
    await listener.handle(long, echo)
    await connectIdentified(dialer, listener)

    const stream = await dialer.services.streamOpener.newStream(listener.peerId, long)
    expect(replacedMethods(stream)).toContain('onData')
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('take precedence over those of the service', async () => {
    dialer = await createOpenerNode({ negotiationTimeout: 60_000 })
    listener = await createStockNode('tcp')
    await handleRaw(listener, ECHO, () => {})
    await connectIdentified(dialer, listener)

    const stream = await dialer.services.streamOpener.newStream(listener.peerId, ECHO, { negotiationTimeout: 50 })
    const { error } = await closed(stream)
    expect(error).toHaveProperty('message', `The peer did not answer the handshake of ${ECHO} within 50ms`)
  })

  it('bound a full negotiation, too', async () => {
    dialer = await createOpenerNode({ negotiation: 'full', negotiationTimeout: 50 })
    listener = await createStockNode('tcp')
    await handleRaw(listener, ECHO, () => {})
    await connectIdentified(dialer, listener)

    await expect(dialer.services.streamOpener.newStream(listener.peerId, ECHO)).rejects.toThrow(expect.objectContaining({ name: 'TimeoutError' }))
  })
})

describe('negotiation', () => {
  it('full leaves every stream to libp2p', async () => {
    dialer = await createOpenerNode({ negotiation: 'full' })
    listener = await createStockNode('tcp')
    await listener.handle(ECHO, echo)
    await connectIdentified(dialer, listener)

    const stream = await dialer.services.streamOpener.newStream(listener.peerId, ECHO)
    expect(replacedMethods(stream)).toEqual([])
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('always trusts the peer to speak a single protocol until it has refused it', async () => {
    dialer = await createOpenerNode({ negotiation: 'always' })
    listener = await createStockNode('tcp')
    const connection = await connectIdentified(dialer, listener)
    await listener.handle(ECHO, echo)

    const spoken = await dialer.services.streamOpener.newStream(listener.peerId, ECHO)
    expect(replacedMethods(spoken)).toContain('onData')
    expect(await exchange(spoken, bytes('hello'))).toEqual(bytes('hello'))

    const refused = await dialer.services.streamOpener.newStream(listener.peerId, '/missing/1.0.0')
    refused.send(bytes('hello'))
    const { error } = await closed(refused)
    expect(error).toHaveProperty('name', 'UnsupportedProtocolError')
    await expect(dialer.services.streamOpener.newStream(listener.peerId, '/missing/1.0.0')).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))

    // several are negotiated as ever
    const stream = await dialer.services.streamOpener.newStreamOn(connection, ['/missing/1.0.0', '/neither/1.0.0', ECHO])
    expect(stream.protocol).toBe(ECHO)
    stream.abort(new Error('Seen enough'))
  })
})
