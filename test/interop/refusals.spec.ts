import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { bytes, closed, exchange, pattern, readAll, replacedMethods } from '../support/streams.ts'
import { connect, createDialer } from './nodes.ts'
import { startPeer } from '../support/peer-process.ts'
import { builtCells, refusedCells } from '../support/peers.ts'
import { PROTOCOLS } from '../support/peer-protocols.ts'
import type { PeerProcess } from '../support/peer-process.ts'
import type { HalfClose } from '../../src/index.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const HALF_CLOSES: HalfClose[] = ['confirmed', 'immediate']

const UNSUPPORTED = expect.objectContaining({ name: 'UnsupportedProtocolError' })

function end (stream: Stream): void {
  stream.close().catch(() => {})
}

/**
 * What an application may have done before it gets to know. The peer reads all of it
 * as multistream-select after it has said no.
 */
const USES: Record<string, (stream: Stream) => void> = {
  nothing: () => {},
  'a write': stream => { stream.send(bytes('hello')) },
  'a long write': stream => { stream.send(pattern(50_000)) },
  'a write that looks like a message': stream => { stream.send(bytes('\x06hello\n')) },
  'a write and the end': stream => {
    stream.send(bytes('hello'))
    end(stream)
  },
  'a long write and the end': stream => {
    stream.send(pattern(50_000))
    end(stream)
  },
  'the end': end
}

describe.each(builtCells())('a protocol that $name does not speak', ({ peer: peerName, transport, encrypter }) => {
  let dialer: Libp2p<OpenerServices>
  let peer: PeerProcess
  let connection: Connection

  beforeAll(async () => {
    peer = await startPeer(peerName)
  })

  afterAll(async () => {
    await peer.stop()
  })

  beforeEach(async () => {
    dialer = await createDialer(encrypter, { negotiation: 'always' })
    connection = await connect(dialer, peer.address(transport))
  })

  afterEach(async () => {
    await dialer.stop()
  })

  it('any more is refused on the stream, forgotten, and then refused at once', async () => {
    await peer.drop(PROTOCOLS.dropped)
    const status = (): string[] => dialer.services.streamOpener.status(connection.remotePeer).protocols
    const stored = async (): Promise<string[]> => (await dialer.peerStore.get(connection.remotePeer)).protocols

    expect(status()).toContain(PROTOCOLS.dropped)
    expect(await stored()).toContain(PROTOCOLS.dropped)

    const stream = await dialer.services.streamOpener.newStreamOn(connection, PROTOCOLS.dropped)
    const ended = closed(stream)
    expect(replacedMethods(stream)).toContain('onData')
    stream.send(bytes('hello'))

    await expect(readAll(stream)).rejects.toThrow(UNSUPPORTED)
    expect((await ended).error).toEqual(UNSUPPORTED)
    expect(status()).not.toContain(PROTOCOLS.dropped)
    await expect.poll(stored).not.toContain(PROTOCOLS.dropped)

    await expect(dialer.services.streamOpener.newStreamOn(connection, PROTOCOLS.dropped)).rejects.toThrow(UNSUPPORTED)
  })

  // these reset the stream when they can not make sense of what follows their answer,
  // and over QUIC a reset overtakes it, see upstream/go-libp2p-quic-na.md
  const mayLoseAnswer = transport === 'quic' && peerName !== 'rust'

  it.each(HALF_CLOSES.flatMap(halfClose => Object.keys(USES).map(use => [use, halfClose] as const)))('is refused whatever was done by then: %s, the FIN %s', async (use, halfClose) => {
    const errors: string[] = []

    for (let i = 0; i < 20; i++) {
      const protocol = `/interop/never-${i}/1.0.0`
      const stream = await dialer.services.streamOpener.newStreamOn(connection, protocol, { halfClose })
      const ended = closed(stream)
      expect(replacedMethods(stream)).toContain('onData')
      USES[use]?.(stream)
      errors.push((await ended).error?.name ?? '')

      await expect(dialer.services.streamOpener.newStreamOn(connection, protocol)).rejects.toThrow(UNSUPPORTED)
    }

    expect(errors.filter(name => name !== 'UnsupportedProtocolError' && !(mayLoseAnswer && name === 'StreamResetError'))).toEqual([])
    expect(await exchange(await dialer.services.streamOpener.newStreamOn(connection, PROTOCOLS.echo), bytes('still works'))).toEqual(bytes('still works'))
  })
})

describe.each(refusedCells())('$name', ({ peer: peerName, transport, encrypter }) => {
  it('is refused by libp2p itself', async () => {
    const dialer = await createDialer(encrypter)
    const peer = await startPeer(peerName)

    try {
      await expect(dialer.dial(peer.address(transport)))
        .rejects.toThrow(expect.objectContaining({ message: 'The certificate did not include the libp2p public key extension' }))
    } finally {
      await dialer.stop()
      await peer.stop()
    }
  })
})
