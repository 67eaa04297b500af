import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { encodeHandshake } from '../../src/negotiation/multistream-select.ts'
import { startPeer } from '../support/peer-process.ts'
import { builtCells } from '../support/peers.ts'
import { PROTOCOLS } from '../support/peer-protocols.ts'
import { createRelay } from '../support/relay.ts'
import { bytes, exchange } from '../support/streams.ts'
import { ENCRYPTER_PROTOCOLS, FIRST_MESSAGE, untilRemembered } from '../support/upgrades.ts'
import { createDialer } from './nodes.ts'
import { until } from '../support/wait.ts'
import type { StreamOpenerInit } from '../../src/index.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { PeerProcess } from '../support/peer-process.ts'
import type { Relay } from '../support/relay.ts'
import type { Connection, Libp2p } from '@libp2p/interface'

const CELLS = builtCells().filter(({ transport }) => transport === 'tcp')

describe.each(CELLS)('a dial to $name', ({ peer: peerName, transport, encrypter: name = 'noise' }) => {
  const encrypter = name === 'socket tls' ? 'tls' : name
  const handshake = encodeHandshake(ENCRYPTER_PROTOCOLS[encrypter])
  let peer: PeerProcess
  let relay: Relay
  let dialer: Libp2p<OpenerServices>

  beforeAll(async () => {
    peer = await startPeer(peerName)
    relay = await createRelay(peer.address(transport))
  })

  afterAll(async () => {
    await relay.close()
    await peer.stop()
  })

  afterEach(async () => {
    await dialer.stop()
  })

  async function answers (connection: Connection): Promise<void> {
    const stream = await dialer.services.streamOpener.newStreamOn(connection, PROTOCOLS.echo)

    expect(new Uint8Array(await exchange(stream, bytes('hello')))).toEqual(bytes('hello'))
  }

  /**
   * Dials while nothing that the peer sends gets through, until the first message of the
   * encrypter has passed
   */
  async function dialHeld (): Promise<Connection> {
    const before = relay.bytesUp
    relay.hold()
    const dialing = dialer.dial(relay.addr)

    await until(() => relay.bytesUp - before >= handshake.byteLength + FIRST_MESSAGE[encrypter])
    relay.release()

    return dialing
  }

  const ALWAYS: StreamOpenerInit = { negotiation: 'always' }

  it('sends the first message of the encrypter before anything has come back', async () => {
    dialer = await createDialer(name, ALWAYS)

    for (let i = 0; i < 5; i++) {
      const connection = await dialHeld()

      expect(connection.encryption).toBe(ENCRYPTER_PROTOCOLS[encrypter])
      await answers(connection)
      await dialer.hangUp(connection.remotePeer)
    }
  })

  it('does so after a reconnect with resume', async () => {
    dialer = await createDialer(name, { resume: true })
    const first = await dialer.dial(relay.addr)
    await untilRemembered(dialer, first.remotePeer, ENCRYPTER_PROTOCOLS[encrypter])
    await dialer.hangUp(first.remotePeer)

    for (let i = 0; i < 5; i++) {
      const connection = await dialHeld()

      await answers(connection)
      await dialer.hangUp(connection.remotePeer)
    }
  })

  it('is answered whenever that is at once', async () => {
    dialer = await createDialer(name, { ...ALWAYS, resume: true })

    // more of them it closes, those of stock as well, see upstream/py-libp2p-reconnects.md
    const reconnects = peerName === 'python' ? 5 : 50

    for (let i = 0; i < reconnects; i++) {
      const connection = await dialer.dial(peer.address(transport))

      await answers(connection)
      await dialer.hangUp(connection.remotePeer)
    }
  })
})
