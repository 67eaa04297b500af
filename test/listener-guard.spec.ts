import { pEvent } from 'p-event'
import { afterEach, describe, expect, it } from 'vitest'
import { LISTENER_GUARD_PROTOCOL } from '../src/constants.ts'
import { streamOpener } from '../src/index.ts'
import { forkListener } from './support/fork-listener.ts'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, SOCKET_TRANSPORTS, stopNodes, TRANSPORTS } from './support/nodes.ts'
import { createRelay } from './support/relay.ts'
import { rounds } from './support/rounds.ts'
import { bytes, ECHO, echo, exchange, HANDLER_STYLES, readAll, replacedMethods } from './support/streams.ts'
import { turn, turns } from './support/wait.ts'
import type { ForkedListener } from './support/fork-listener.ts'
import type { OpenerServices, TransportName } from './support/nodes.ts'
import type { Relay } from './support/relay.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const REQUESTS = rounds(10_000)

let dialer: Libp2p<OpenerServices>
let listener: Libp2p | undefined
let forked: ForkedListener | undefined
let relay: Relay | undefined

afterEach(async () => {
  await stopNodes(dialer, listener)
  await forked?.stop()
  await relay?.close()
  listener = forked = relay = undefined
})

async function createGuardedNode (transport: TransportName, listenerGuard = true): Promise<Libp2p> {
  return createStockNode(transport, { services: { streamOpener: streamOpener({ listenerGuard }) } })
}

describe.each(SOCKET_TRANSPORTS)('requests to a guarded listener in another process over %s, their end in the first flight', transport => {
  it(`are all answered, ${REQUESTS} of them, 50 at a time, whatever the style of the handler`, async () => {
    dialer = await createOpenerNode()
    forked = await forkListener(transport, 'guarded')
    const [connection] = await Promise.all([dialer.dial(forked.addr), pEvent(dialer as any, 'peer:identify')])
    const styles = Object.keys(HANDLER_STYLES)
    let left = REQUESTS
    let answered = 0

    await Promise.all(Array.from({ length: 50 }, async () => {
      while (left-- > 0) {
        const protocol = styles[left % styles.length] ?? ''
        const stream = await dialer.services.streamOpener.newStreamOn(connection, protocol, { maxOutboundStreams: 50 })
        expect(replacedMethods(stream)).not.toContain('sendCloseWrite')
        const request = bytes(left % 100 < 10 ? '' : `request ${left}`)

        expect(await exchange(stream, request)).toEqual(request)
        answered++
      }
    }))

    expect(answered).toBe(REQUESTS)
    expect(connection.streams.filter(({ direction }) => direction === 'outbound')).toEqual([])
  })
})

describe.each(SOCKET_TRANSPORTS)('over %s', transport => {
  async function connectThroughRelay (node: Libp2p): Promise<Connection> {
    listener = node
    relay = await createRelay(addressOf(node))

    return connectIdentified(dialer, node, relay.addr)
  }

  it('a handler of a guarded listener gets request and end while nothing has come back yet', async () => {
    dialer = await createOpenerNode()
    const ended = Promise.withResolvers<Uint8Array>()
    const node = await createGuardedNode(transport)
    await node.handle('/upload/1.0.0', async stream => {
      ended.resolve(await readAll(stream))
      stream.send(bytes('thanks'))
      await stream.close()
    })
    const connection = await connectThroughRelay(node)

    relay?.hold()
    const stream = await dialer.services.streamOpener.newStreamOn(connection, '/upload/1.0.0')
    stream.send(bytes('hello'))
    void stream.close()
    const answer = readAll(stream)

    expect(await ended.promise).toEqual(bytes('hello'))
    relay?.release()
    expect(await answer).toEqual(bytes('thanks'))
  })

  it.each([
    ['the dialer asks for it', true, { halfClose: 'confirmed' as const }],
    ['the listener is not guarded', false, {}]
  ])('the end waits for the echo where %s', async (_, listenerGuard, options) => {
    dialer = await createOpenerNode()
    const node = await createGuardedNode(transport, listenerGuard)
    await node.handle(ECHO, echo)
    const connection = await connectThroughRelay(node)
    expect(dialer.services.streamOpener.status(node.peerId).protocols.includes(LISTENER_GUARD_PROTOCOL)).toBe(listenerGuard)

    const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO, options)
    expect(replacedMethods(stream)).toContain('sendCloseWrite')
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })
})

describe.each(TRANSPORTS)('over %s', transport => {
  /**
   * The listener's end of a stream on which data and the end have arrived, and
   * nobody has listened
   */
  async function openEnded (node: Libp2p): Promise<Stream> {
    const { promise, resolve } = Promise.withResolvers<Stream>()
    listener = node
    dialer = await createOpenerNode()
    await node.handle('/held/1.0.0', resolve)
    const connection = await connectIdentified(dialer, node)
    const stream = await dialer.services.streamOpener.newStreamOn(connection, '/held/1.0.0', { halfClose: 'immediate' })
    stream.send(bytes('hello'))
    await stream.close()

    const inbound = await promise
    await ended(inbound)

    return inbound
  }

  async function ended (stream: Stream): Promise<void> {
    while (stream.remoteWriteStatus !== 'closed') {
      await turn()
    }
  }

  it('stock handlers that come late are never told of the end, so the guard is needed', async () => {
    const stream = await openEnded(await createStockNode(transport))
    let told = false

    readAll(stream).catch(() => {}).finally(() => { told = true })

    await turns(100)

    expect(told).toBe(false)
    stream.abort(new Error('Enough'))
  })

  it('guarded handlers may come as late as they like', async () => {
    const stream = await openEnded(await createGuardedNode(transport))

    expect(await readAll(stream)).toEqual(bytes('hello'))
  })

  it('guarded handlers may close the stream before they read', async () => {
    const stream = await openEnded(await createGuardedNode(transport))

    await stream.close()
    expect(await readAll(stream)).toEqual(bytes('hello'))
  })

  it('a listener for the end is told once, unless it has gone', async () => {
    const stream = await openEnded(await createGuardedNode(transport))
    const calls: string[] = []
    const gone = (): void => { calls.push('gone') }
    const controller = new AbortController()

    const targets: unknown[] = []

    stream.addEventListener('remoteCloseWrite', evt => {
      calls.push('function')
      targets.push(evt.target)
    })
    stream.addEventListener('remoteCloseWrite', () => { calls.push('once') }, { once: true })
    stream.addEventListener('remoteCloseWrite', { handleEvent: () => { calls.push('object') } })
    stream.addEventListener('remoteCloseWrite', gone)
    stream.addEventListener('remoteCloseWrite', () => { calls.push('aborted') }, { signal: controller.signal })
    stream.removeEventListener('remoteCloseWrite', gone)
    controller.abort()
    expect(calls).toEqual([])

    await turn()
    await turn()
    expect(calls).toEqual(['function', 'once', 'object'])
    expect(targets[0]).toBe(stream)

    stream.addEventListener('remoteCloseWrite', () => { calls.push('later') })
    await turn()
    await turn()
    expect(calls).toEqual(['function', 'once', 'object', 'later'])
  })

  it('nothing is told of a stream that was reset', async () => {
    const node = await createGuardedNode(transport)
    const stream = await openEnded(node)
    let told = false

    stream.abort(new Error('Enough'))
    stream.addEventListener('remoteCloseWrite', () => { told = true })
    await turn()
    await turn()
    expect(told).toBe(false)
  })
})

describe('a guarded listener', () => {
  it('says so in identify as long as it runs', async () => {
    dialer = await createOpenerNode()
    const node = listener = await createGuardedNode('tcp')
    expect(node.getProtocols()).toContain('/libp2p-stream-opener/listener-guard/1.0.0')
    await connectIdentified(dialer, node)
    expect(dialer.services.streamOpener.status(node.peerId).protocols).toContain('/libp2p-stream-opener/listener-guard/1.0.0')

    await node.stop()
    expect(node.getProtocols()).not.toContain('/libp2p-stream-opener/listener-guard/1.0.0')
  })

  it('resets streams of the protocol that says so', async () => {
    dialer = await createOpenerNode()
    const node = listener = await createGuardedNode('tcp')
    await connectIdentified(dialer, node)
    const stream = await dialer.services.streamOpener.newStream(node.peerId, LISTENER_GUARD_PROTOCOL)

    await expect(readAll(stream)).rejects.toThrow(expect.objectContaining({ name: 'StreamResetError' }))
  })

  it('takes it back when it can not reach the muxer of a connection', async () => {
    const node = listener = await createGuardedNode('tcp')
    dialer = await createOpenerNode()

    // before the service sees it
    const components = (node as unknown as { components: { upgrader: { _createConnection(init: object): Connection } } }).components
    const create = components.upgrader._createConnection.bind(components.upgrader)
    components.upgrader._createConnection = init => create({ ...init, muxer: undefined })

    await dialer.dial(addressOf(node))

    while (node.getConnections().length === 0) {
      await turn()
    }

    expect(node.getProtocols()).not.toContain(LISTENER_GUARD_PROTOCOL)
  })
})
