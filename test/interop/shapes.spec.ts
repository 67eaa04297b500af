import { createHash } from 'node:crypto'
import { byteStream, lpStream } from '@libp2p/utils'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bytes, closed, exchange, pattern, readAll, replacedMethods, sendAll } from '../support/streams.ts'
import { connect, createDialer } from './nodes.ts'
import { startPeer } from '../support/peer-process.ts'
import { builtCells } from '../support/peers.ts'
import { PROTOCOLS } from '../support/peer-protocols.ts'
import type { SinkReport } from '../support/peer-protocols.ts'
import type { PeerProcess } from '../support/peer-process.ts'
import type { HalfClose, OpenStreamOnOptions } from '../../src/index.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const HALF_CLOSES: HalfClose[] = ['confirmed', 'immediate']

function reportOf (data: Uint8Array): SinkReport {
  return { bytes: data.byteLength, sha256: createHash('sha256').update(data).digest('hex') }
}

function parse (answer: Uint8Array): SinkReport {
  return JSON.parse(new TextDecoder().decode(answer))
}

describe.each(builtCells())('to $name, a stream', ({ peer: peerName, transport, encrypter }) => {
  let dialer: Libp2p<OpenerServices>
  let peer: PeerProcess
  let connection: Connection

  beforeAll(async () => {
    dialer = await createDialer(encrypter)
    peer = await startPeer(peerName)
    connection = await connect(dialer, peer.address(transport))
  })

  afterAll(async () => {
    await dialer.stop()
    await peer.stop()
  })

  /**
   * Opens a stream before the peer has confirmed anything
   */
  async function open (protocols: string | string[], options?: OpenStreamOnOptions): Promise<Stream> {
    const stream = await dialer.services.streamOpener.newStreamOn(connection, protocols, options)
    expect(replacedMethods(stream)).toContain('onData')

    return stream
  }

  function outbound (): Stream[] {
    return connection.streams.filter(({ direction }) => direction === 'outbound')
  }

  it('is encrypted as it is to be', () => {
    expect(connection.encryption).toBe({ noise: '/noise', tls: '/tls/1.0.0', 'socket tls': '/tls/1.0.0', quic: 'native' }[encrypter ?? 'quic'])
  })

  it('is echoed, one after the other and many at once', async () => {
    for (let i = 0; i < 50; i++) {
      expect(await exchange(await open(PROTOCOLS.echo), bytes(`request ${i}`))).toEqual(bytes(`request ${i}`))
    }

    await Promise.all(Array.from({ length: 30 }, async (_, i) => {
      expect(await exchange(await open(PROTOCOLS.echo), bytes(`request ${i}`))).toEqual(bytes(`request ${i}`))
    }))
  })

  it('lets the peer speak first', async () => {
    for (let i = 0; i < 20; i++) {
      const stream = await open(PROTOCOLS.speakFirst)
      expect(await readAll(stream)).toEqual(bytes('welcome'))
      await stream.close()
    }
  })

  it.each(HALF_CLOSES)('can be write-only, the FIN %s', async halfClose => {
    for (let i = 1; i <= 20; i++) {
      const ended = peer.sink({ event: 'ended', bytes: i })
      const stream = await open(PROTOCOLS.sink, { halfClose })
      stream.send(pattern(i))
      await stream.close()
      await ended
      stream.abort(new Error('Not interested in the answer'))
    }
  })

  it.each(HALF_CLOSES.flatMap(halfClose => [
    [halfClose, PROTOCOLS.sink],
    [halfClose, PROTOCOLS.slow]
  ] as const))('is answered after it was half-closed, the FIN %s, by %s', async (halfClose, protocol) => {
    await Promise.all([0, 1, 100, 10_000, 400_000].map(async length => {
      const request = pattern(length)
      const stream = await open(protocol, { halfClose })
      expect(parse(await exchange(stream, request))).toStrictEqual(reportOf(request))
      expect(stream.status).toBe('closed')
    }))
  })

  it('carries length prefixed requests and answers', async () => {
    const stream = await open(PROTOCOLS.lengthPrefixed)
    const messages = lpStream(stream)

    for (const length of [1, 127, 128, 70_000]) {
      await messages.write(pattern(length))
      expect((await messages.read()).subarray()).toEqual(pattern(length))
    }

    await stream.close()
    expect(await readAll(stream)).toHaveLength(0)
  })

  it('is one of the first of several protocols that the peer speaks', async () => {
    const stream = await open([PROTOCOLS.unsupported, PROTOCOLS.other, PROTOCOLS.echo])
    expect(stream.protocol).toBe(PROTOCOLS.other)
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('is not opened for a protocol that the peer does not speak', async () => {
    for (const protocols of [PROTOCOLS.unsupported, [PROTOCOLS.unsupported, '/interop/neither/1.0.0']]) {
      await expect(dialer.services.streamOpener.newStreamOn(connection, protocols))
        .rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
    }
  })

  it('takes a first write of 1 MiB', async () => {
    const data = pattern(1_048_576)

    const sunk = await open(PROTOCOLS.sink)
    sunk.send(data)
    const [report] = await Promise.all([readAll(sunk), sunk.close()])
    expect(parse(report)).toStrictEqual(reportOf(data))

    const echoed = await open(PROTOCOLS.echo)
    echoed.send(data)
    const [answer] = await Promise.all([readAll(echoed), echoed.close()])
    expect(Buffer.compare(answer, data)).toBe(0)
  })

  it('is one of 500 that are opened at once, within the limits that both have by default', async () => {
    const answers = await Promise.all(Array.from({ length: 500 }, async (_, i) => {
      return exchange(await open(PROTOCOLS.echo), bytes(`request ${i}`))
    }))

    expect(answers.map(answer => new TextDecoder().decode(answer))).toEqual(Array.from({ length: 500 }, (_, i) => `request ${i}`))
  })

  it('can be aborted at any time', async () => {
    for (let i = 0; i < 20; i++) {
      const before = await open(PROTOCOLS.echo)
      before.abort(new Error('before'))

      const between = await open(PROTOCOLS.echo)
      between.send(bytes('hello'))
      between.abort(new Error('between'))

      const after = await open(PROTOCOLS.echo)
      after.send(bytes('hello'))
      await byteStream(after).read({ bytes: 5 })
      after.abort(new Error('after'))

      const midway = await open(PROTOCOLS.echo)
      const ended = closed(midway)
      sendAll(midway, pattern(1_000_000)).catch(() => {})
      await new Promise(resolve => { midway.addEventListener('message', resolve, { once: true }) })
      midway.abort(new Error('midway'))
      expect((await ended).error?.message).toBe('midway')
    }

    expect(await exchange(await open(PROTOCOLS.echo), bytes('still works'))).toEqual(bytes('still works'))
  })

  it('leaves nothing behind', () => {
    expect(outbound()).toEqual([])
    expect(dialer.services.streamOpener.status(connection.remotePeer)).toMatchObject({ open: 0, negotiating: 0, queued: 0 })
  })
})
