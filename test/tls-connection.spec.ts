/**
 * What is promised of a TCP connection that is encrypted on its socket
 */
import { once } from 'node:events'
import { TLSSocket } from 'node:tls'
import { tls as stock } from '@libp2p/tls'
import { generateCertificate } from '@libp2p/tls/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { tls } from '../src/tls/index.ts'
import { addUnconfirmed } from '../src/util/unconfirmed.ts'
import { untilSteady } from './support/bulk-data.ts'
import { bytes, pattern } from './support/streams.ts'
import { createEncrypter, createIdentity, encrypt, tcpPair } from './support/tcp-pair.ts'
import { turn } from './support/wait.ts'
import type { EncrypterFactory, Identity, TcpPair } from './support/tcp-pair.ts'
import type { MessageStream, StreamCloseEvent } from '@libp2p/interface'

let us: Identity
let them: Identity
let pair: TcpPair | undefined

beforeAll(async () => {
  us = await createIdentity()
  them = await createIdentity()
})

/**
 * Whether the dialer begins before the listener has confirmed TLS
 */
let isEarly = false

afterEach(async () => {
  isEarly = false
  pair?.dialer.socket.destroy()
  pair?.listener.socket.destroy()
  await pair?.server.close()
  pair = undefined
})

interface Ends {
  pair: TcpPair
  near: MessageStream
  far: MessageStream
}

/**
 * The near end is always encrypted by this package
 */
async function createEnds (remote: EncrypterFactory = tls, init: Parameters<typeof tcpPair>[1] = {}): Promise<Ends> {
  pair = await tcpPair(undefined, init)

  if (isEarly) {
    addUnconfirmed(pair.dialer, Promise.resolve())
  }

  const { dialer, listener } = await encrypt(pair, createEncrypter(tls, us), createEncrypter(remote, them))

  return { pair, near: dialer.connection, far: listener.connection }
}

/**
 * Collects what arrives
 */
function collect (stream: MessageStream): Uint8ArrayList {
  const received = new Uint8ArrayList()
  stream.addEventListener('message', evt => { received.append(evt.data) })

  return received
}

async function closed (stream: MessageStream): Promise<StreamCloseEvent> {
  return new Promise(resolve => { stream.addEventListener('close', resolve) })
}

const CHUNK = pattern(65_536)

describe.each([
  ['this package', false, tls],
  ['@libp2p/tls', false, stock],
  ['this package', true, tls],
  ['@libp2p/tls', true, stock]
] as const)('with %s at the other end, begun before it was confirmed: %s,', (_, begunEarly, remote) => {
  beforeEach(() => { isEarly = begunEarly })

  it('a peer that does not read stops the sender, and nothing is lost', async () => {
    const { near, far } = await createEnds(remote)
    const chunks = 1_024
    let sent = 0

    async function send (): Promise<void> {
      for (; sent < chunks; sent++) {
        if (!near.send(CHUNK)) {
          await once(near as any, 'drain')
        }
      }
    }

    far.pause()
    let received = 0
    far.addEventListener('message', evt => { received += evt.data.byteLength })
    const sending = send()

    await untilSteady(() => sent)
    expect(sent).toBeLessThan(chunks)
    expect(received).toBe(0)
    expect(near.writableNeedsDrain).toBe(true)

    far.resume()
    await sending
    await vi.waitFor(() => { expect(received).toBe(chunks * CHUNK.byteLength) }, { timeout: 30_000 })
  })

  it('a paused end keeps nothing but what its socket had read', async () => {
    const { near, far, pair } = await createEnds(remote)
    const received = collect(near)

    near.pause()

    for (let i = 0; i < 400; i++) {
      far.send(CHUNK)
    }

    await untilSteady(() => pair.dialer.socket.bytesRead)
    expect(received.byteLength).toBe(0)
    expect(near.readBufferLength).toBe(0)
    expect(pair.dialer.socket.bytesRead).toBeLessThan(1_000_000)

    near.resume()
    await vi.waitFor(() => { expect(received.byteLength).toBe(400 * CHUNK.byteLength) }, { timeout: 30_000 })
  })

  // of the connection, that is what libp2p closes
  it('close() waits until all that was sent has been read', async () => {
    const { near, far, pair } = await createEnds(remote)
    const received = collect(far)
    const data = pattern(20_000_000)
    far.pause()

    for (let i = 0; i < data.byteLength; i += 100_000) {
      near.send(data.subarray(i, i + 100_000))
    }

    const ended = closed(far)
    let isClosed = false
    const closing = pair.dialer.close().then(() => { isClosed = true })
    await untilSteady(() => pair.listener.socket.bytesRead)
    expect(isClosed).toBe(false)

    far.resume()
    await Promise.all([closing, ended])
    expect(Buffer.compare(received.subarray(), data)).toBe(0)
    expect([near.status, pair.dialer.status, pair.dialer.socket.closed]).toEqual(['closed', 'closed', true])
  })

  it('messages of any size arrive in order, as many as there are', async () => {
    const { near, far } = await createEnds(remote)
    far.addEventListener('message', evt => { far.send(evt.data) })
    const received = collect(near)
    const sent = new Uint8ArrayList()

    for (let i = 0; i < 10_000; i++) {
      const message = bytes(`message ${i}`)
      sent.append(message)

      // in several parts, as muxers do
      if (!near.send(new Uint8ArrayList(message.subarray(0, 3), message.subarray(3)))) {
        await once(near as any, 'drain')
      }
    }

    await vi.waitFor(() => { expect(received.byteLength).toBe(sent.byteLength) }, { timeout: 10_000 })
    expect(Buffer.compare(received.subarray(), sent.subarray())).toBe(0)
  })

  it('a connection on which nothing happens times out, and only then', async () => {
    const { near, far, pair } = await createEnds(remote, { outboundSocketInactivityTimeout: 1000 })
    far.addEventListener('message', evt => { far.send(evt.data) })
    const ended = closed(pair.dialer)

    for (let i = 0; i < 24; i++) {
      const answer = once(near as any, 'message')
      near.send(bytes('hello'))
      await answer
      await new Promise(resolve => { setTimeout(resolve, 50) })
      expect(near.status).toBe('open')
    }

    expect((await ended).error).toHaveProperty('name', 'TimeoutError')
    expect(near.status).toBe('aborted')
  })
})

it('close() ends when its signal aborts, and the connection can be aborted then', async () => {
  const { near, far, pair } = await createEnds()
  far.pause()

  for (let i = 0; i < 300; i++) {
    near.send(CHUNK)
  }

  await expect(pair.dialer.close({ signal: AbortSignal.timeout(100) })).rejects.toThrow()
  expect(pair.dialer.socket.closed).toBe(false)

  const gone = once(pair.dialer.socket, 'close')
  pair.dialer.abort(new Error('Now'))
  await gone
  expect(near.status).toBe('aborted')
})

it('a peer that resets while the connection is being closed ends it', async () => {
  const { near, far, pair } = await createEnds()
  far.pause()

  for (let i = 0; i < 300; i++) {
    near.send(CHUNK)
  }

  const closing = pair.dialer.close().then(() => 'closed', () => 'not closed')
  await turn()
  pair.listener.socket.resetAndDestroy()
  // as ever, close() rejects then, or not
  expect(['closed', 'not closed']).toContainEqual(await closing)
  expect(pair.dialer.socket.destroyed).toBe(true)
  expect(['aborted', 'closed']).toContainEqual(near.status)
})

it('a peer that ends its half gets what was sent, and the connection is closed', async () => {
  pair = await tcpPair()
  const socket = pair.listener.socket
  socket.removeAllListeners()
  socket.allowHalfOpen = true
  const remote = new TLSSocket(socket, { ...await generateCertificate(them.privateKey), isServer: true, requestCert: true, rejectUnauthorized: false, ALPNProtocols: ['libp2p'] })
  remote.allowHalfOpen = true
  const { connection } = await createEncrypter(tls, us).secureOutbound(pair.dialer)

  let received = 0
  remote.pause()
  remote.on('data', data => { received += data.byteLength })

  for (let i = 0; i < 20; i++) {
    connection.send(CHUNK)
  }

  remote.end()
  const ended = closed(connection)
  remote.resume()
  expect((await ended).error).toBeUndefined()
  await once(remote, 'close')
  expect(pair.dialer.status).toBe('closed')
  expect(received).toBeGreaterThan(0)
})

it('what is not read in time is not read twice: TLS has no data of its own', async () => {
  const { near, far } = await createEnds()
  far.send(bytes('early'))
  await vi.waitFor(() => { expect(near.readBufferLength).toBe(5) })

  const received = collect(near)
  await vi.waitFor(() => { expect(received.byteLength).toBe(5) })
})
