/**
 * The TLS handshake on a TCP socket, with peers that do it wrong
 */
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { TLSSocket, connect } from 'node:tls'
import { tls as stock } from '@libp2p/tls'
import { generateCertificate } from '@libp2p/tls/utils'
import { byteStream } from '@libp2p/utils'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { tls } from '../src/tls/index.ts'
import * as foreign from './support/certificate.ts'
import { bytes, pattern } from './support/streams.ts'
import { createEncrypter, createIdentity, encrypt, tcpPair } from './support/tcp-pair.ts'
import { turn } from './support/wait.ts'
import type { Identity, TcpConnection, TcpPair } from './support/tcp-pair.ts'
import type { ConnectionEncrypter, SecureConnectionOptions, SecuredConnection } from '@libp2p/interface'
import type { Socket } from 'node:net'

let us: Identity
let them: Identity
const pairs: TcpPair[] = []

beforeAll(async () => {
  us = await createIdentity()
  them = await createIdentity()
})

afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(pairs.splice(0).map(async ({ dialer, listener, server }) => {
    dialer.socket.destroy()
    listener.socket.destroy()
    await server.close()
  }))
})

async function createPair (): Promise<TcpPair> {
  const pair = await tcpPair()
  pairs.push(pair)

  return pair
}

type Side = 'dialer' | 'listener'

const SIDES: Side[] = ['dialer', 'listener']

/**
 * A connection, and the bare socket at the other end of it
 */
async function connectTo (side: Side): Promise<{ connection: TcpConnection, socket: Socket }> {
  const pair = await createPair()
  const { socket } = pair[side === 'dialer' ? 'listener' : 'dialer']

  socket.removeAllListeners()
  socket.on('error', () => {})

  return { connection: pair[side], socket }
}

async function secure (encrypter: ConnectionEncrypter, side: Side, connection: TcpConnection, options?: SecureConnectionOptions): Promise<SecuredConnection> {
  return side === 'dialer' ? encrypter.secureOutbound(connection, options) : encrypter.secureInbound(connection, options)
}

/**
 * What node:tls does with this certificate at the other end of a connection
 */
function speakTls (side: Side, socket: Duplex, certificate: object = {}): TLSSocket {
  const options = { ...certificate, rejectUnauthorized: false }
  const secured = side === 'listener'
    ? connect({ ...options, socket, ALPNProtocols: ['libp2p'] })
    : new TLSSocket(socket, { ...options, isServer: true, requestCert: true, ALPNProtocols: ['libp2p'] })

  secured.on('error', () => {})

  return secured
}

async function closedSocket (socket: Socket): Promise<void> {
  if (!socket.closed) {
    await new Promise(resolve => { socket.once('close', resolve) })
  }
}

const YEAR = 365 * 24 * 60 * 60 * 1000

function setYears (years: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + years * YEAR })
}

describe.each(SIDES)('at the %s', side => {
  const other = side === 'dialer' ? 'listener' : 'dialer'

  async function expectRefusal (certificate: object, name: string, options?: SecureConnectionOptions): Promise<void> {
    const { connection, socket } = await connectTo(side)
    speakTls(side, socket, certificate)

    await expect(secure(createEncrypter(tls, us), side, connection, options)).rejects.toHaveProperty('name', name)
    expect(connection.status).toBe('aborted')
    await Promise.all([closedSocket(connection.socket), closedSocket(socket)])
  }

  it('a peer that is not the expected one is refused', async () => {
    const certificate = await generateCertificate(them.privateKey)

    await expectRefusal(certificate, 'UnexpectedPeerError', { remotePeer: us.peerId })
  })

  it('a certificate that has expired is refused', async () => {
    const certificate = await generateCertificate(them.privateKey)
    setYears(101)

    await expectRefusal(certificate, 'InvalidCertificateError')
  })

  it('a certificate that is not valid yet is refused', async () => {
    setYears(1)
    const certificate = await generateCertificate(them.privateKey)
    vi.useRealTimers()

    await expectRefusal(certificate, 'InvalidCertificateError')
  })

  it('a certificate that is not one of libp2p is refused', async () => {
    await expectRefusal({ key: foreign.key, cert: foreign.cert }, 'InvalidCertificateError')
  })

  if (side === 'listener') {
    it('a peer without a certificate is refused', async () => {
      await expectRefusal({}, 'InvalidCryptoExchangeError')
    })
  }

  it('garbage is refused', async () => {
    const { connection, socket } = await connectTo(side)
    socket.write(pattern(10_000))

    await expect(secure(createEncrypter(tls, us), side, connection)).rejects.toThrow()
    expect(connection.status).toBe('aborted')
    await Promise.all([closedSocket(connection.socket), closedSocket(socket)])
  })

  it('a peer that stops in the middle is waited for until the signal aborts', async () => {
    const { connection, socket } = await connectTo(side)
    const controller = new AbortController()
    const securing = secure(createEncrypter(tls, us), side, connection, { signal: controller.signal })

    // a ServerHello or ClientHello that is 512 bytes long
    socket.write(Uint8Array.of(22, 3, 1, 2, 0, side === 'dialer' ? 2 : 1, 0, 1, 252, 3, 3))
    socket.once('data', () => {})
    await vi.waitFor(() => { expect(connection.socket.bytesRead).toBe(11) })
    controller.abort()

    await expect(securing).rejects.toHaveProperty('name', 'HandshakeTimeoutError')
    expect(connection.status).toBe('aborted')
    await Promise.all([closedSocket(connection.socket), closedSocket(socket)])
  })

  it('a signal that has aborted already is obeyed', async () => {
    const { connection } = await connectTo(side)

    await expect(secure(createEncrypter(tls, us), side, connection, { signal: AbortSignal.abort() })).rejects.toHaveProperty('name', 'AbortError')
  })

  it('a connection that is closed already is an error', async () => {
    const { connection } = await connectTo(side)
    connection.abort(new Error('No'))

    await expect(secure(createEncrypter(tls, us), side, connection)).rejects.toHaveProperty('name', 'ConnectionClosedError')
  })

  // each is tried until the handshake is done before
  it.each<[name: string, happens: (connection: TcpConnection, socket: Socket, controller: AbortController) => void]>([
    ['a signal that aborts', (connection, socket, controller) => { controller.abort() }],
    ['a peer that is gone', (connection, socket) => { socket.destroy() }],
    ['a peer that resets', (connection, socket) => { socket.resetAndDestroy() }],
    ['a connection that is aborted', connection => { connection.abort(new Error('No more')) }],
    ['a socket that is destroyed', connection => { connection.socket.destroy() }]
  ])('%s at any moment ends the handshake', async (_, happens) => {
    const encrypter = createEncrypter(tls, us)
    const remote = createEncrypter(stock, them)
    let turns = 0
    let rejections = 0

    for (let done = 0; done < 3; turns++) {
      const pair = await createPair()
      const connection = pair[side]
      const controller = new AbortController()
      const outcome = secure(encrypter, side, connection, { signal: controller.signal }).then(() => 'secured', (err: Error) => err)
      secure(remote, other, pair[other]).catch(() => {})

      for (let i = 0; i < turns; i++) {
        await (i % 2 === 0 ? Promise.resolve() : turn())
      }

      const isDone = await Promise.race([outcome, Promise.resolve('under way')]) === 'secured'
      happens(connection, pair[other].socket, controller)

      if (isDone) {
        done++
        connection.abort(new Error('Done'))
      } else if (await outcome instanceof Error) {
        rejections++
      }

      connection.abort(new Error('Done'))
      await closedSocket(connection.socket)
      pair[other].abort(new Error('Done'))
      await closedSocket(pair[other].socket)
    }

    expect(rejections).toBeGreaterThan(3)
  })

  it('a record that was changed on its way ends the connection, and none of it is passed on', async () => {
    const [a, b] = [await createPair(), await createPair()]
    const [near, far] = [a.listener.socket, b.dialer.socket]
    let change = 0

    function pass (from: Socket, to: Socket): void {
      from.removeAllListeners()
      from.on('error', () => {})
      from.on('close', () => { to.destroy() })
      from.on('data', data => { to.write(data.map((byte, i) => i === data.byteLength - 1 ? byte ^ change : byte)) })
    }

    pass(near, far)
    pass(far, near)

    const pair = { ...a, listener: b.listener }
    const secured = await encrypt(pair, createEncrypter(tls, us), createEncrypter(tls, them))
    const received: unknown[] = []
    const closed = new Promise<any>(resolve => { secured[side].connection.addEventListener('close', resolve) })
    secured[side].connection.addEventListener('message', evt => { received.push(evt.data) })

    change = 1
    secured[other].connection.send(bytes('hello'))

    expect((await closed).error).toMatchObject({ code: expect.stringMatching(/^ERR_SSL/) })
    expect(pair[side].status).toBe('aborted')
    expect(received).toEqual([])
  })

  it('the signal has no say after the handshake', async () => {
    const pair = await createPair()
    const controller = new AbortController()
    const [{ connection }] = await Promise.all([
      secure(createEncrypter(tls, us), side, pair[side], { signal: controller.signal }),
      secure(createEncrypter(stock, them), other, pair[other])
    ])

    controller.abort()
    expect(connection.status).toBe('open')
  })
})

// as when a dialer does not wait until multistream-select is done
it.each([Infinity, 100])('a ClientHello that came with what was read before is not lost, nor where only %d bytes of it did', async length => {
  const { connection, socket } = await connectTo('listener')
  const reader = byteStream(connection)
  let first: Uint8Array | undefined = bytes('hello')
  const duplex = new Duplex({
    read: () => {},
    write: (chunk, _, done) => {
      socket.write(Buffer.concat([first ?? bytes(''), chunk.subarray(0, length)]), () => {
        // the rest comes later
        setImmediate(() => { socket.write(chunk.subarray(length), done) })
      })
      first = undefined
    }
  })
  socket.on('data', data => { duplex.push(data) })
  const remote = speakTls('listener', duplex, await generateCertificate(them.privateKey))

  expect((await reader.read({ bytes: 5 })).subarray()).toEqual(bytes('hello'))
  reader.unwrap()
  expect(connection.readBufferLength).toBeGreaterThan(50)

  const { remotePeer, connection: secured } = await createEncrypter(tls, us).secureInbound(connection)
  expect(remotePeer.equals(them.peerId)).toBe(true)

  const received = once(remote, 'data')
  secured.send(bytes('world'))
  const [data] = await received
  expect(Uint8Array.from(data)).toEqual(bytes('world'))
})

describe('the certificate', () => {
  async function serialOf (encrypter: ConnectionEncrypter): Promise<string | undefined> {
    const { connection, socket } = await connectTo('listener')
    const remote = speakTls('listener', socket, await generateCertificate(them.privateKey))
    await encrypter.secureInbound(connection)

    return remote.getPeerX509Certificate()?.serialNumber
  }

  it('is one for all connections of a node, also when they are made at once', async () => {
    const encrypter = createEncrypter(tls, us)
    const serials = await Promise.all(Array.from({ length: 5 }, async () => serialOf(encrypter)))
    serials.push(await serialOf(encrypter))

    expect(new Set(serials).size).toBe(1)
    expect(serials[0]).toEqual(expect.any(String))
    expect(await serialOf(createEncrypter(tls, us))).not.toBe(serials[0])
  })

  // it is valid for 100 years
  it('is replaced long before it expires, and where the clock was put back', async () => {
    const encrypter = createEncrypter(tls, us)
    const first = await serialOf(encrypter)

    setYears(49)
    expect(await serialOf(encrypter)).toBe(first)
    setYears(2)
    const second = await serialOf(encrypter)
    expect(second).not.toBe(first)
    expect(await serialOf(encrypter)).toBe(second)
    setYears(-20)
    expect(await serialOf(encrypter)).not.toBe(second)
  })

  it('is made again when it could not be made', async () => {
    const sign = vi.spyOn(us.privateKey, 'sign').mockRejectedValueOnce(new Error('Not now'))
    const encrypter = createEncrypter(tls, us)

    await expect(serialOf(encrypter)).rejects.toThrow('Not now')
    expect(await serialOf(encrypter)).toEqual(expect.any(String))
    sign.mockRestore()
  })

  // or it could be somebody else who has seen the ticket
  it('is proved by every connection, no session is resumed', async () => {
    const encrypter = createEncrypter(tls, us)
    const certificate = await generateCertificate(them.privateKey)
    const first = await connectTo('listener')
    const remote = speakTls('listener', first.socket, certificate)
    const session = once(remote, 'session')
    await encrypter.secureInbound(first.connection)

    const second = await connectTo('listener')
    const again = speakTls('listener', second.socket, { ...certificate, session: (await session)[0] })
    const { remotePeer } = await encrypter.secureInbound(second.connection)

    expect(again.isSessionReused()).toBe(false)
    expect(remotePeer.equals(them.peerId)).toBe(true)
  })
})
