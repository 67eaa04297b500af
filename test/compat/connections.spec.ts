/**
 * What connections and dials of stock libp2p get wrong
 */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { TLSSocket, connect as connectTls, getCACertificates, setDefaultCACertificates } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { tls } from '@libp2p/tls'
import { webSockets } from '@libp2p/websockets'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { isMuxerClosed } from '../../src/compat/closed-muxers.ts'
import { isTcpConnection } from '../../src/compat/tls/tcp-socket.ts'
import { transportOf } from '../../src/index.ts'
import { encodeHandshake } from '../../src/negotiation/multistream-select.ts'
import { cert, key } from '../support/certificate.ts'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, stopNodes } from '../support/nodes.ts'
import { createRelay } from '../support/relay.ts'
import { createSilentListener } from '../support/site.ts'
import { keptLog } from '../support/log.ts'
import { createEncrypter, createIdentity, encrypt, tcpPair } from '../support/tcp-pair.ts'
import { outcomeOf } from './settled.ts'
import { until } from '../support/wait.ts'
import type { NodeInit, TransportName } from '../support/nodes.ts'
import type { TcpPair } from '../support/tcp-pair.ts'
import type { Connection, ConnectionEncrypter, Libp2p, Startable, Upgrader } from '@libp2p/interface'
import type { AddressInfo } from 'node:net'

const HELD = '/held/1.0.0'

const certificates = getCACertificates('default')

beforeAll(() => { setDefaultCACertificates([...certificates, cert]) })
afterAll(() => { setDefaultCACertificates(certificates) })

async function connectTo (transport: TransportName | undefined, init: NodeInit = {}): Promise<{ connection: Connection, listener: Libp2p }> {
  const [dialer, listener] = await Promise.all([createStockNode(undefined), createStockNode(transport, init)])

  onTestFinished(async () => stopNodes(dialer, listener))
  await listener.handle(HELD, () => {})

  return { connection: await connectIdentified(dialer, listener), listener }
}

interface WebSocketConnection {
  maConn: { websocket: { readyState: number, close(): void } }
}

/**
 * Runs a program of test/interop/upstream
 */
async function run (name: string): Promise<{ stdout: string, stderr: string, code: unknown }> {
  const program = fileURLToPath(new URL(`../interop/upstream/${name}.ts`, import.meta.url))

  return new Promise(resolve => {
    execFile(process.execPath, [program], (err, stdout, stderr) => { resolve({ stdout, stderr, code: err?.code ?? 0 }) })
  })
}

describe('a QUIC connection of stock that is lost', () => {
  it('leaves every other stream open, else src/compat/quic/lost-streams.ts can go', async () => {
    const { connection } = await connectTo('quic')

    // those of identify are in the list as well
    await until(() => connection.streams.length === 0)
    const streams = await Promise.all(Array.from({ length: 4 }, async () => connection.newStream(HELD)))

    connection.abort(new Error('Lost'))
    await until(() => connection.status !== 'open')
    expect(connection.streams).toEqual([])
    expect(streams.filter(({ status }) => status === 'open')).toHaveLength(2)
  })
})

describe('a connection of stock', () => {
  it('is kept when the peer closes its muxer, else src/compat/closed-muxers.ts can go', async () => {
    const { connection, listener } = await connectTo('tcp')
    const [back] = listener.getConnections() as Array<Connection & { muxer: { sendGoAway(reason: number): void } }>

    back?.muxer.sendGoAway(0)
    await until(() => isMuxerClosed(connection))
    expect(connection.status).toBe('open')
    await expect(connection.newStream(HELD)).rejects.toThrow(expect.objectContaining({ name: 'ConnectionClosedError' }))
  })
})

describe('WebSockets of stock', () => {
  it('do not say that they came in over TLS, else src/compat/websocket-access.ts can go', async () => {
    const { listener } = await connectTo(undefined, {
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0/tls/ws'] },
      transports: [webSockets({ https: { key, cert } })]
    })
    const [inbound] = listener.getConnections()

    expect(inbound?.remoteAddr.toString()).not.toMatch(/\/(tls\/ws|wss)/)
    expect(transportOf(inbound as Connection)).toBe('wss')
  })

  it('stay open when a dial is aborted while they wait, else src/compat/websocket-close.ts can go', async () => {
    const dialer = await createStockNode(undefined)
    const silent = await createSilentListener()

    onTestFinished(async () => {
      await silent.close()
      await stopNodes(dialer)
    })

    const controller = new AbortController()
    const dialing = dialer.dial(silent.addr.encapsulate('/ws'), { signal: controller.signal })
    await until(() => silent.sockets.size === 1)
    const [waiting] = silent.sockets
    controller.abort()
    await expect(dialing).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))

    // one that was closed before this one is is gone by then
    const another = connect({ host: '127.0.0.1', port: Number(silent.addr.getComponents()[1]?.value) })
    await until(() => silent.sockets.size === 2)
    const [later] = [...silent.sockets].filter(socket => socket !== waiting)
    another.destroy()
    await until(() => later?.closed === true)
    expect(waiting?.closed).toBe(false)
  })

  it('stay open when their connection is aborted, else a part of src/compat/websocket-close.ts can go', async () => {
    const { connection } = await connectTo('ws')
    const { maConn: { websocket } } = connection as unknown as WebSocketConnection

    connection.abort(new Error('Enough'))
    expect(connection.status).toBe('aborted')
    expect(websocket.readyState).toBe(WebSocket.OPEN)
    websocket.close()
  })
})

describe('a dial of stock', () => {
  it('may join one that has ended, and is never settled, else src/compat/ended-dial.ts can go', async () => {
    const { stdout } = await run('js-libp2p-ended-dial')

    expect(stdout).toContain('nothing within 2 s')
    // the last one is late enough
    expect(stdout.trim().split('\n').at(-1)).toBe('13 connected')
  })
})

describe('a dial of stock over TCP', () => {
  it('waits for the encrypter, else src/compat/outbound-upgrades.ts can go', async () => {
    const [dialer, listener] = await Promise.all([createStockNode(undefined), createStockNode('tcp')])
    const relay = await createRelay(addressOf(listener))

    onTestFinished(async () => {
      await stopNodes(dialer, listener)
      await relay.close()
    })

    relay.hold()
    const dialing = dialer.dial(relay.addr)

    await until(() => relay.bytesDown > 0)
    expect(relay.bytesUp).toBe(encodeHandshake('/noise').byteLength)
    expect(await outcomeOf(dialing)).toBe('nothing')
    expect(relay.bytesUp).toBe(encodeHandshake('/noise').byteLength)
    relay.release()
    await dialing
  })

  it('goes through two methods, without which libp2p upgrades connections, else src/compat/outbound-upgrades.ts has to change', async () => {
    const listener = await createStockNode('tcp')
    const dialer = await createOpenerNode({ negotiation: 'always' })
    const { upgrader } = (dialer as unknown as { components: { upgrader: Upgrader } }).components
    const { streamOpener } = dialer.services as unknown as { streamOpener: Startable }
    const { upgradeOutbound } = upgrader

    onTestFinished(async () => stopNodes(dialer, listener))
    const asked = vi.spyOn(upgrader, 'upgradeOutbound')
    const secured = vi.spyOn([...upgrader.getConnectionEncrypters().values()][0] as ConnectionEncrypter, 'secureOutbound')
    await dialer.dial(addressOf(listener))
    expect([asked, secured].map(spy => spy.mock.calls.length)).toEqual([1, 1])
    await dialer.hangUp(listener.peerId)
    vi.restoreAllMocks()

    await streamOpener.stop()
    Object.assign(upgrader, { upgradeOutbound: undefined })
    await streamOpener.start()
    expect(upgrader.upgradeOutbound).toBe(undefined)
    Object.assign(upgrader, { upgradeOutbound })
    expect((await dialer.dial(addressOf(listener))).status).toBe('open')
  })
})

describe('a stream of stock whose yamux connection is aborted in the same turn', () => {
  it('ends the process, else src/compat/yamux-uncaught.ts can go', async () => {
    const { code, stderr } = await run('js-libp2p-yamux-uncaught')

    expect(code).toBe(1)
    expect(stderr).toContain('StreamStateError: Cannot write to a stream that is closed')
  })
})

async function createTcpPair (): Promise<TcpPair> {
  const pair = await tcpPair()

  onTestFinished(async () => {
    pair.dialer.socket.destroy()
    pair.listener.socket.destroy()
    await pair.server.close()
  })

  return pair
}

describe('TLS of stock', () => {
  it('leaves the socket to the connection, else src/compat/tls/tcp-socket.ts can go, and else src/compat/tls/encrypted-connection.ts can go', async () => {
    const pair = await createTcpPair()
    const { socket } = pair.dialer

    expect(isTcpConnection(pair.dialer)).toBe(true)
    const [reader] = socket.listeners('data')
    const [us, them] = await Promise.all([createIdentity(), createIdentity()])
    await encrypt(pair, createEncrypter(tls, us), createEncrypter(tls, them))
    expect(socket.listeners('data')).toEqual([reader])
  })

  it('waits for a connection that has ended, else test/interop/upstream/js-libp2p-tls-settles.md can go', async () => {
    const { dialer, listener } = await createTcpPair()
    const securing = createEncrypter(tls, await createIdentity()).secureOutbound(dialer)
    const closed = once(dialer.socket, 'close')

    await listener.close()
    await closed
    expect(dialer.status).toBe('closed')
    expect(await outcomeOf(securing)).toBe('nothing')
  })

  it('is worked with from before it exported its utils, else src/compat/tls/utils.ts can go', () => {
    const { peerDependencies } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

    expect(peerDependencies['@libp2p/tls']).toBe('^3.0.0')
  })
})

describe('the metrics of stock', () => {
  it('count what is passed to the connection and not what its socket has written, else src/compat/tls/count-bytes.ts can go', async () => {
    const { dialer } = await createTcpPair()
    const registry = new Registry()
    const metrics = prometheusMetrics({ registry, collectDefaultMetrics: false })(keptLog())

    metrics.trackMultiaddrConnection(dialer)
    dialer.send(new Uint8Array(10))
    await new Promise(resolve => { dialer.socket.write(new Uint8Array(1_000), resolve) })

    expect(dialer.socket.bytesWritten).toBe(1_010)
    expect(await registry.metrics()).toMatch(/libp2p_data_transfer_bytes_total{[^}]*global sent[^}]*} 10\n/)
  })
})

describe('a TLSSocket of Node.js that is a client', () => {
  it('takes what comes in front of the answer for the answer, else src/compat/tls/early-socket.ts can go', async () => {
    const server = createServer(socket => {
      socket.on('error', () => {})
      socket.once('data', () => { socket.write(encodeHandshake('/tls/1.0.0')) })
    }).listen(0, '127.0.0.1')

    await once(server, 'listening')
    const bare = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
    const socket = connectTls({ socket: bare, rejectUnauthorized: false })
    const [err] = await once(socket, 'error').catch(err => [err])

    expect(err.code).toBe('ERR_SSL_WRONG_VERSION_NUMBER')
    socket.destroy()
    server.close()
    await once(server, 'close')
  })
})

describe('a TLSSocket of Node.js that is a server', () => {
  it('does not close on garbage after its handshake, else src/compat/tls/server-errors.ts can go', async () => {
    const server = createServer()

    server.listen(0, '127.0.0.1')
    await once(server, 'listening')

    const bare = connect(server.address() as { port: number })
    const [accepted] = await once(server, 'connection')
    const listener = new TLSSocket(accepted, { isServer: true, key, cert })
    const dialer = connectTls({ socket: bare, rejectUnauthorized: false })

    onTestFinished(() => {
      bare.destroy()
      accepted.destroy()
      server.close()
    })

    let errors = 0
    listener.on('error', () => { errors++ })
    dialer.on('error', () => {})
    await Promise.all([once(listener, 'secure'), once(dialer, 'secureConnect')])

    const failed = once(listener, '_tlsError')
    bare.write('garbage, and enough of it for a whole record of TLS')
    await failed
    await new Promise(setImmediate)
    expect([listener.destroyed, errors]).toEqual([false, 0])
  })
})

describe('a TLSSocket of Node.js that is destroyed in its handshake after its socket', () => {
  it('ends the process, else test/interop/upstream/node-tls-destroyed.md and the turn that src/tls/handshake.ts waits can go', async () => {
    const { stdout } = await run('node-tls-destroyed')

    expect(stdout.trim().split('\n')).toEqual(['parent: SIGSEGV', 'child: exit code 0', 'later: exit code 0'])
  })
})
