import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createRelay } from '../support/relay.ts'
import { bytes, readAll } from '../support/streams.ts'
import { connect, createDialer } from './nodes.ts'
import { startPeer } from '../support/peer-process.ts'
import { builtCells } from '../support/peers.ts'
import { PROTOCOLS } from '../support/peer-protocols.ts'
import type { PeerProcess } from '../support/peer-process.ts'
import type { HalfClose } from '../../src/index.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { Relay } from '../support/relay.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

function report (length: number): unknown {
  return expect.objectContaining({ bytes: length })
}

describe.each(builtCells())('while nothing that $name sends gets through', ({ peer: peerName, transport, encrypter }) => {
  let dialer: Libp2p<OpenerServices>
  let peer: PeerProcess
  let relay: Relay
  let connection: Connection

  beforeAll(async () => {
    peer = await startPeer(peerName)
  })

  afterAll(async () => {
    await peer.stop()
  })

  beforeEach(async () => {
    dialer = await createDialer(encrypter)
    relay = await createRelay(peer.address(transport))
    connection = await connect(dialer, relay.addr)
    relay.hold()
  })

  afterEach(async () => {
    relay.release()
    await dialer.stop()
    await relay.close()
  })

  /**
   * Resolves when the peer has got the request
   */
  async function request (data: string, halfClose?: HalfClose): Promise<Stream> {
    const received = peer.sink({ event: 'received', data })
    const stream = await dialer.services.streamOpener.newStreamOn(connection, PROTOCOLS.sink, { halfClose })
    stream.send(bytes(data))
    await received

    return stream
  }

  async function answerTo (stream: Stream): Promise<unknown> {
    return JSON.parse(new TextDecoder().decode(await readAll(stream)))
  }

  it('a request arrives', async () => {
    const stream = await request('request')

    relay.release()
    const [answer] = await Promise.all([answerTo(stream), stream.close()])
    expect(answer).toEqual(report(7))
  })

  it('the end of a request arrives where it is to be immediate', async () => {
    const ended = peer.sink({ event: 'ended', bytes: 9 })
    const stream = await request('immediate', 'immediate')
    void stream.close()
    await ended

    const answer = answerTo(stream)
    relay.release()
    expect(await answer).toEqual(report(9))
  })

  it('the end of a request stays behind where it is to be confirmed', async () => {
    let isEnded = false
    void peer.sink({ event: 'ended', bytes: 4 }).then(() => { isEnded = true })
    const stream = await request('kept', 'confirmed')
    void stream.close()

    // what was sent later has arrived
    const laterEnded = peer.sink({ event: 'ended', bytes: 5 })
    const later = await request('later', 'immediate')
    void later.close()
    await laterEnded
    expect(isEnded).toBe(false)

    const answers = Promise.all([answerTo(stream), answerTo(later)])
    relay.release()
    expect(await answers).toEqual([report(4), report(5)])
  })

  it('libp2p does not get a stream', async () => {
    let isOpen = false
    const opening = connection.newStream(PROTOCOLS.sink).then(stream => {
      isOpen = true
      return stream
    })

    const later = await request('later')
    expect(isOpen).toBe(false)

    const answer = answerTo(later)
    void later.close()
    relay.release()
    expect(await answer).toEqual(report(5))

    const stream = await opening
    const [empty] = await Promise.all([answerTo(stream), stream.close()])
    expect(empty).toEqual(report(0))
  })
})
