import { once } from 'node:events'
import { createServer } from 'node:net'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { preSharedKey, generateKey } from '@libp2p/pnet'
import { tcp } from '@libp2p/tcp'
import { peerIdFromString } from '@libp2p/peer-id'
import { lpStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { MemoryDatastore } from 'datastore-core'
import { Uint8ArrayList } from 'uint8arraylist'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { encodeHandshake } from '../src/negotiation/multistream-select.ts'
import { tls as socketTls } from '../src/tls/index.ts'
import { outcomeOf } from './compat/settled.ts'
import { addressOf, createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { message } from './support/raw-listener.ts'
import { firstMessage, takeUpgrades } from './support/raw-upgrades.ts'
import { createRelay } from './support/relay.ts'
import { bytes, closed, ECHO, echo, exchange } from './support/streams.ts'
import { DIAL_TRANSPORTS, dialAndLook, encrypted, encryptedLate, ENCRYPTER_NAMES, ENCRYPTER_PROTOCOLS, FIRST_MESSAGE, meet, rememberedOf, untilRemembered } from './support/upgrades.ts'
import { until } from './support/wait.ts'
import type { StreamOpenerInit } from '../src/index.ts'
import type { NodeInit, OpenerServices } from './support/nodes.ts'
import type { RawUpgrades } from './support/raw-upgrades.ts'
import type { DialTransport } from './support/upgrades.ts'
import type { Connection, Libp2p, MessageStream, Startable, Upgrader } from '@libp2p/interface'
import type { LengthPrefixedStream } from '@libp2p/utils'
import type { AddressInfo } from 'node:net'

let nodes: Libp2p[] = []

afterEach(async () => {
  await stopNodes(...nodes)
  nodes = []
})

async function createDialer (init: StreamOpenerInit, node: NodeInit = {}): Promise<Libp2p<OpenerServices>> {
  const dialer = await createOpenerNode(init, node)
  nodes.unshift(dialer)

  return dialer
}

async function createListener (transport: DialTransport, node: NodeInit = {}): Promise<{ listener: Libp2p, raw: RawUpgrades }> {
  const listener = await createStockNode(transport, node)
  nodes.push(listener)
  await listener.handle(ECHO, echo)

  return { listener, raw: takeUpgrades(listener) }
}

async function answers (dialer: Libp2p<OpenerServices>, connection: Connection): Promise<void> {
  const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO)

  expect(new Uint8Array(await exchange(stream, bytes('hello')))).toEqual(bytes('hello'))
}

/**
 * The first message of a request that is not answered
 */
async function nextRequest (listener: Libp2p): Promise<Uint8Array> {
  return new Promise(resolve => {
    void listener.handle('/sink/1.0.0', stream => {
      stream.addEventListener('message', ({ data }) => { resolve(data.slice()) })
    })
  })
}

function upgraderOf (node: Libp2p): Upgrader {
  return (node as unknown as { components: { upgrader: Upgrader } }).components.upgrader
}

describe.each(ENCRYPTER_NAMES)('what is sent first with %s', name => {
  const handshake = encodeHandshake(ENCRYPTER_PROTOCOLS[name])

  it('is the handshake and the first message of the encrypter, in one segment', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => { server.close() })
    await once(server, 'listening')
    const dialer = await createDialer({ negotiation: 'always' }, encrypted(name))
    const controller = new AbortController()
    const connected = once(server, 'connection')
    const dialing = dialer.dial(multiaddr(`/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`), { signal: controller.signal })
    const [socket] = await connected
    const [chunk] = await once(socket, 'data')

    expect(new Uint8Array(chunk.subarray(0, handshake.byteLength))).toEqual(handshake)
    expect(chunk.byteLength - handshake.byteLength).toBeGreaterThanOrEqual(FIRST_MESSAGE[name])

    controller.abort()
    await expect(dialing).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }))
    socket.destroy()
  })

  it('is what a listener gets before anything that it sends has passed', async () => {
    const { listener } = await createListener('tcp', encrypted(name))
    const dialer = await createDialer({ negotiation: 'always' }, encrypted(name))
    const relay = await createRelay(addressOf(listener))
    onTestFinished(async () => relay.close())
    relay.hold()
    const dialing = dialer.dial(relay.addr)

    await until(() => relay.bytesUp >= handshake.byteLength + FIRST_MESSAGE[name])
    relay.release()
    await answers(dialer, await dialing)
  })
})

describe.each(DIAL_TRANSPORTS.flatMap(transport => ENCRYPTER_NAMES.map(name => ({ transport, name }))))('a dial over $transport with $name', ({ transport, name }) => {
  const protocol = ENCRYPTER_PROTOCOLS[name]

  it('is as stock unless an option says otherwise', async () => {
    const { listener, raw } = await createListener(transport, encrypted(name))
    const dialer = await createDialer({}, encrypted(name))
    const stock = upgraderOf(dialer).upgradeOutbound

    expect(stock).toBe(Object.getPrototypeOf(upgraderOf(dialer)).upgradeOutbound)

    for (let i = 0; i < 2; i++) {
      const { connection, first, optimistic } = await dialAndLook(dialer, listener, raw)

      expect([first, optimistic]).toEqual([[protocol], [false]])
      await answers(dialer, connection)
      await dialer.hangUp(listener.peerId)
    }

    expect((await dialer.peerStore.get(listener.peerId)).metadata.has('StreamOpenerEncrypters')).toBe(false)
  })

  it('does not wait for the encrypter with resume, after a reconnect', async () => {
    const { listener, raw } = await createListener(transport, encrypted(name))
    const dialer = await createDialer({ resume: true }, encrypted(name))
    const first = await dialAndLook(dialer, listener, raw)

    expect(first.optimistic).toEqual([false])
    await untilRemembered(dialer, listener.peerId, protocol)

    for (let i = 0; i < 3; i++) {
      await dialer.hangUp(listener.peerId)
      const { connection, first, optimistic } = await dialAndLook(dialer, listener, raw)

      expect([first, optimistic]).toEqual([[protocol], [true]])
      expect(connection.encryption).toBe(protocol)
      await answers(dialer, connection)
    }
  })

  it('does so with the peer id alone, and after a restart of the node', async () => {
    const datastore = new MemoryDatastore()
    const { listener, raw } = await createListener(transport, encrypted(name))
    const before = await createOpenerNode({ resume: true }, { ...encrypted(name), datastore })
    await meet(before, listener, protocol)
    await before.stop()

    const dialer = await createDialer({ resume: true }, { ...encrypted(name), datastore })
    const { connection, optimistic } = await dialAndLook(dialer, listener, raw, listener.peerId)

    expect(optimistic).toEqual([true])
    await answers(dialer, connection)
  })

  it('never waits for the only encrypter with \'always\'', async () => {
    const { listener, raw } = await createListener(transport, encrypted(name))
    const dialer = await createDialer({ negotiation: 'always' }, encrypted(name))

    for (const addr of [addressOf(listener), addressOf(listener).decapsulate('/p2p')]) {
      const { connection, first, optimistic } = await dialAndLook(dialer, listener, raw, addr)

      expect([first, optimistic]).toEqual([[protocol], [true]])
      await answers(dialer, connection)
      await dialer.hangUp(listener.peerId)
    }
  })

  it('asks a function for the encrypter, too, and waits where that says full', async () => {
    const { listener, raw } = await createListener(transport, encrypted(name))

    for (const isFull of [true, false]) {
      const dialer = await createDialer({ resume: true, negotiation: asked => asked === protocol && isFull ? 'full' : undefined }, encrypted(name))
      await meet(dialer, listener, protocol)

      expect((await dialAndLook(dialer, listener, raw)).optimistic).toEqual([!isFull])
    }
  })

  it('does so where it is for a bulk stream', async () => {
    const { listener, raw } = await createListener(transport, encrypted(name))
    const dialer = await createDialer({ resume: true }, encrypted(name))
    await meet(dialer, listener, protocol)

    const { connection, optimistic } = await dialAndLook(dialer, listener, raw, addressOf(listener), async () => {
      const { connection } = await dialer.services.streamOpener.openBulkStream(addressOf(listener), ECHO, { transport, fallback: 'none' })

      return connection
    })

    expect(optimistic).toEqual([true])
    await answers(dialer, connection)
  })

  it('leaves nothing on the connection', async () => {
    const { listener, raw } = await createListener(transport, encrypted(name))
    const dialer = await createDialer({ negotiation: 'always' }, encrypted(name))
    const { connection } = await dialAndLook(dialer, listener, raw)
    const { maConn } = connection as unknown as { maConn: Record<string, unknown> }

    for (const method of ['send', 'close', 'onData', 'onRemoteCloseWrite', 'onTransportClosed', 'sendCloseRead', 'sendCloseWrite']) {
      expect(maConn[method]).toBe(Object.getPrototypeOf(maConn)[method])
    }
  })
})

describe.each(DIAL_TRANSPORTS)('a peer over %s', transport => {
  /**
   * A listener with the same key, or with another one, at an address of its own
   */
  async function restart (listener: Libp2p, node: NodeInit, isSame = true): Promise<{ listener: Libp2p, raw: RawUpgrades }> {
    const { privateKey } = (listener as unknown as { components: { privateKey: NodeInit['privateKey'] } }).components
    const listen = addressOf(listener).decapsulate('/p2p').toString()

    await listener.stop()
    nodes = nodes.filter(node => node !== listener)

    return createListener(transport, { ...node, privateKey: isSame ? privateKey : undefined, addresses: { listen: [listen] } })
  }

  it('that has given up an encrypter is dialled once more, and taken to speak the other one then', async () => {
    const { listener } = await createListener(transport, encrypted('noise'))
    const dialer = await createDialer({ resume: true }, encrypted('noise', 'tls'))
    await meet(dialer, listener)
    const restarted = await restart(listener, encrypted('tls'))
    const again = await dialAndLook(dialer, restarted.listener, restarted.raw)

    expect([again.first, again.optimistic]).toEqual([['/noise', '/noise'], [true, false]])
    expect(again.connection.encryption).toBe('/tls/1.0.0')
    await answers(dialer, again.connection)
    await untilRemembered(dialer, listener.peerId, '/noise\n/tls/1.0.0')
    await dialer.hangUp(listener.peerId)

    const later = await dialAndLook(dialer, restarted.listener, restarted.raw)

    expect([later.first, later.optimistic]).toEqual([['/tls/1.0.0'], [true]])
    await answers(dialer, later.connection)
  })

  it('that has refused is not taken to speak the encrypter until libp2p has selected it', async () => {
    const { listener } = await createListener(transport, encrypted('tls'))
    const dialer = await createDialer({ negotiation: 'always' }, encrypted('noise', 'tls'))
    let restarted = await restart(listener, encrypted('tls'))

    for (const optimistic of [[true, false], [false]]) {
      expect((await dialAndLook(dialer, restarted.listener, restarted.raw)).optimistic).toEqual(optimistic)
      await dialer.hangUp(listener.peerId)
    }

    restarted = await restart(restarted.listener, encrypted('noise'))

    for (const optimistic of [[false], [true]]) {
      expect((await dialAndLook(dialer, restarted.listener, restarted.raw)).optimistic).toEqual(optimistic)
      await dialer.hangUp(listener.peerId)
    }
  })

  it('gets what libp2p would select if the node has got other encrypters since', async () => {
    const datastore = new MemoryDatastore()
    const { listener, raw } = await createListener(transport, encrypted('noise', 'tls'))
    const before = await createOpenerNode({ resume: true }, { ...encrypted('noise'), datastore })
    await meet(before, listener)
    await before.stop()

    const dialer = await createDialer({ resume: true }, { ...encrypted('tls', 'noise'), datastore })
    const { connection, optimistic } = await dialAndLook(dialer, listener, raw)

    expect(optimistic).toEqual([false])
    expect(connection.encryption).toBe('/tls/1.0.0')
    await untilRemembered(dialer, listener.peerId, '/tls/1.0.0')
  })

  it('that is another one is not mistaken for the first', async () => {
    const { listener } = await createListener(transport)
    const dialer = await createDialer({ resume: true })
    const stock = await createStockNode(undefined)
    nodes.unshift(stock)
    const addr = addressOf(listener)
    await meet(dialer, listener)
    const restarted = await restart(listener, {}, false)

    const [ours, theirs] = await Promise.all([dialer, stock].map(async node => node.dial(addr).catch(err => err)))

    expect([ours.name, ours.message]).toEqual([theirs.name, theirs.message])
    // no more dials than stock makes
    expect(restarted.raw.count).toBe(2)
    // what is known of the first one is none of its business
    expect(await rememberedOf(dialer, listener.peerId)).toBe('/noise')
  })

  it('is known behind another address', async () => {
    const { listener, raw } = await createListener(transport)
    const dialer = await createDialer({ resume: true })
    await meet(dialer, listener)
    const relay = await createRelay(addressOf(listener))
    onTestFinished(async () => relay.close())

    expect((await dialAndLook(dialer, listener, raw, relay.addr)).optimistic).toEqual([true])
  })
})

describe('a muxer that the encrypter has not agreed on', () => {
  /**
   * The answer to the handshake of the muxer is held
   */
  function holding (): { node: NodeInit, release(): void } {
    const released: Array<() => void> = []

    return {
      node: encryptedLate(stream => {
        const send = stream.send.bind(stream)
        const held = new Uint8ArrayList()

        stream.send = data => {
          held.append(data)

          return true
        }

        released.push(() => {
          stream.send = send
          send(held)
        })

        return stream
      }),
      release: () => { released.splice(0).forEach(release => { release() }) }
    }
  }

  it('is not waited for with \'always\'', async () => {
    const { node, release } = holding()
    const { listener } = await createListener('tcp', node)
    const dialer = await createDialer({ negotiation: 'always' })
    const connection = await dialer.dial(addressOf(listener))

    expect(connection.multiplexer).toBe('/yamux/1.0.0')
    const received = nextRequest(listener)
    const stream = await dialer.services.streamOpener.newStreamOn(connection, '/sink/1.0.0')
    stream.send(bytes('hello'))
    // before anything has come back
    expect(await received).toEqual(bytes('hello'))
    release()
    await answers(dialer, connection)
  })

  it('is waited for with resume, as a connection that has been handed out cannot be dialled again', async () => {
    const { node, release } = holding()
    const { listener, raw } = await createListener('tcp', node)
    const dialer = await createDialer({ resume: true })
    const first = dialer.dial(addressOf(listener))
    await until(() => listener.getConnections().length === 1)
    release()
    await first
    await untilRemembered(dialer, listener.peerId, '/noise')
    await dialer.hangUp(listener.peerId)
    await until(() => listener.getConnections().length === 0)

    const dialing = dialAndLook(dialer, listener, raw)
    await until(() => listener.getConnections().length === 1)
    expect(dialer.getConnections()).toEqual([])
    release()
    const { connection, optimistic } = await dialing

    expect(optimistic).toEqual([true])
    await answers(dialer, connection)
  })

  it.each([
    { does: 'na', answer: Buffer.concat([message('/multistream/1.0.0\n'), message('na\n')]), error: 'UnsupportedProtocolError' },
    { does: 'another muxer', answer: encodeHandshake('/mplex/6.7.0'), error: 'ProtocolError' },
    { does: 'garbage', answer: new Uint8Array(60).fill(0xff), error: 'InvalidMessageError' }
  ])('closes the connection if the peer answers $does, and is negotiated by libp2p from then on', async ({ answer, error }) => {
    const wrong = [answer]
    const { listener } = await createListener('tcp', encryptedLate(stream => {
      const [data] = wrong.splice(0)

      if (data != null) {
        const send = stream.send.bind(stream)
        stream.send = () => true
        void firstMessage(stream).then(() => send(data))
      }

      return stream
    }))
    const dialer = await createDialer({ negotiation: 'always' })
    const connection = await dialer.dial(addressOf(listener))

    expect(await closed(connection as any)).toHaveProperty('error.name', error)
    expect(connection.status).not.toBe('open')

    const next = await dialer.dial(addressOf(listener))
    await answers(dialer, next)
    expect(next.status).toBe('open')
  })
})

describe('an encrypter', () => {
  type Secure = (stream: LengthPrefixedStream, peerId: string) => Promise<string>

  /**
   * Encrypts nothing, and believes everything
   */
  function trusting (outbound: Secure, inbound: Secure): NodeInit {
    return {
      connectionEncrypters: [({ peerId }) => {
        const secure = (fn: Secure) => async (connection: MessageStream) => {
          const stream = lpStream(connection)
          const remotePeer = peerIdFromString(await fn(stream, `${peerId}`))

          return { connection: stream.unwrap(), remotePeer }
        }

        return { protocol: '/trusting/1.0.0', secureOutbound: secure(outbound), secureInbound: secure(inbound) }
      }]
    }
  }

  async function read (stream: LengthPrefixedStream): Promise<string> {
    return new TextDecoder().decode((await stream.read()).subarray())
  }

  async function write (stream: LengthPrefixedStream, text: string): Promise<void> {
    await stream.write(bytes(text))
  }

  it('whose listener speaks first gets to hear of the handshake all the same', async () => {
    const node = trusting(async (stream, peerId) => {
      const remotePeer = await read(stream)
      await write(stream, peerId)

      return remotePeer
    }, async (stream, peerId) => {
      await write(stream, peerId)

      return read(stream)
    })
    const { listener, raw } = await createListener('tcp', node)
    const dialer = await createDialer({ negotiation: 'always' }, node)
    const { connection, first, optimistic } = await dialAndLook(dialer, listener, raw)

    expect([first, optimistic]).toEqual([['/trusting/1.0.0'], [false]])
    await answers(dialer, connection)
  })

  it('that needs no answer does not make a connection of one that the peer has not confirmed', async () => {
    const { listener } = await createListener('tcp')
    const node = trusting(async (stream, peerId) => {
      await write(stream, peerId)

      return `${listener.peerId}`
    }, read)
    const dialer = await createDialer({ negotiation: 'always' }, node)

    // the listener does not speak it
    await expect(dialer.dial(addressOf(listener))).rejects.toThrow(expect.objectContaining({ name: 'EncryptionFailedError' }))
    expect(dialer.getConnections()).toEqual([])

    const { listener: other } = await createListener('tcp', trusting(read as Secure, read))
    const relay = await createRelay(addressOf(other))
    onTestFinished(async () => relay.close())
    relay.hold()
    const willing = await createDialer({ negotiation: 'always' }, trusting(async (stream, peerId) => {
      await write(stream, peerId)

      return `${other.peerId}`
    }, read))
    const dialing = willing.dial(relay.addr)

    await until(() => relay.bytesDown > 0)
    expect(await outcomeOf(dialing)).toBe('nothing')
    relay.release()
    await answers(willing, await dialing)
  })
})

describe('the upgrader', () => {
  it('is put back when the service stops, and its encrypters are', async () => {
    const dialer = await createDialer({ resume: true, negotiation: 'always' }, encrypted('noise', 'tls'))
    const upgrader = upgraderOf(dialer)
    const objects = [upgrader, ...upgrader.getConnectionEncrypters().values()] as unknown as Array<Record<string, unknown>>
    const replaced = (): string[] => objects.flatMap(object => ['upgradeOutbound', 'secureOutbound'].filter(name => object[name] !== Object.getPrototypeOf(object)[name]))

    expect(replaced()).toEqual(['upgradeOutbound', 'secureOutbound', 'secureOutbound'])
    const service = dialer.services.streamOpener as unknown as Startable
    await service.stop()
    expect(replaced()).toEqual([])
    await service.start()
    expect(replaced()).toHaveLength(3)
  })

  it('is left alone in a private network', async () => {
    const key = new Uint8Array(95)
    generateKey(key)
    const node: NodeInit = { connectionProtector: preSharedKey({ psk: key }) }
    const { listener } = await createListener('tcp', node)
    const dialer = await createDialer({ resume: true, negotiation: 'always' }, node)

    expect(upgraderOf(dialer).upgradeOutbound).toBe(Object.getPrototypeOf(upgraderOf(dialer)).upgradeOutbound)
    await answers(dialer, await dialer.dial(addressOf(listener)))
  })

  it('leaves relayed connections to libp2p', async () => {
    const relay = await createStockNode('tcp', { services: { relay: circuitRelayServer() } })
    const node: NodeInit = { transports: [tcp(), circuitRelayTransport()] }
    const listener = await createStockNode(undefined, { ...node, addresses: { listen: [`${addressOf(relay)}/p2p-circuit`] } })
    nodes.push(listener, relay)
    const raw = takeUpgrades(listener)
    await until(() => listener.getMultiaddrs().length > 0)
    const dialer = await createDialer({ resume: true, negotiation: 'always' }, node)
    const { connection, first, optimistic } = await dialAndLook(dialer, listener, raw, multiaddr(`${addressOf(relay)}/p2p-circuit/p2p/${listener.peerId}`))

    expect([first, optimistic]).toEqual([['/noise'], [false]])
    expect(connection.limits).toEqual(expect.any(Object))
  })

  it.each(['quic', 'memory'] as const)('has nothing to do over %s', async transport => {
    const listener = await createStockNode(transport)
    nodes.push(listener)
    await listener.handle(ECHO, echo)
    const dialer = await createDialer({ resume: true, negotiation: 'always' })

    for (let i = 0; i < 2; i++) {
      await answers(dialer, await dialer.dial(addressOf(listener)))
      await dialer.hangUp(listener.peerId)
    }

    expect((await dialer.peerStore.get(listener.peerId)).metadata.has('StreamOpenerEncrypters')).toBe(false)
  })
})

describe('TLS on the socket', () => {
  const node = { connectionEncrypters: [socketTls()] }

  it.each([{ resume: true }, { negotiation: 'always' as const }])('%j: sends the ClientHello with the handshake', async init => {
    const { listener, raw } = await createListener('tcp', node)
    const dialer = await createDialer(init, node)

    if (init.resume === true) {
      await meet(dialer, listener, '/tls/1.0.0')
    }

    for (let i = 0; i < 3; i++) {
      const { connection, first, optimistic } = await dialAndLook(dialer, listener, raw)

      expect([first, optimistic]).toEqual([['/tls/1.0.0'], [true]])
      await answers(dialer, connection)
      await dialer.hangUp(listener.peerId)
    }
  })

  it('is tried again where the peer has given it up', async () => {
    const { listener, raw } = await createListener('tcp')
    const dialer = await createDialer({ negotiation: 'always' }, { connectionEncrypters: [socketTls(), ...encrypted('noise').connectionEncrypters ?? []] })
    const { connection, first } = await dialAndLook(dialer, listener, raw)

    expect(first).toEqual(['/tls/1.0.0', '/tls/1.0.0'])
    expect(connection.encryption).toBe('/noise')
    await answers(dialer, connection)
  })
})
