import { randomBytes } from 'node:crypto'
import { ping } from '@libp2p/ping'
import { byteStream } from '@libp2p/utils'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { streamOpener } from '../../src/index.ts'
import { addressOf, createStockNode, stopNodes } from '../support/nodes.ts'
import { replacedMethods } from '../support/streams.ts'
import { connect, createDialer, encryptedWith } from './nodes.ts'
import { startPeer } from '../support/peer-process.ts'
import { builtCells } from '../support/peers.ts'
import { PROTOCOLS } from '../support/peer-protocols.ts'
import type { PeerProcess } from '../support/peer-process.ts'
import type { PeerName } from '../support/peers.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const ROUNDS = 10
const STREAMS = 100

let peer: PeerProcess
let node: Libp2p | undefined

afterEach(async () => {
  await stopNodes(node)
  await peer.stop()
})

async function roundTrip (stream: Stream): Promise<void> {
  const data = randomBytes(32)
  const bytes = byteStream(stream)

  await bytes.write(data)
  expect(Buffer.compare((await bytes.read({ bytes: 32 })).subarray(), data)).toBe(0)
  await stream.close()
}

/**
 * The ping of go-libp2p takes 2 streams of a peer, and that of rust-libp2p has one at
 * a time and forgets the others, see upstream/rust-libp2p-ping.md. Their echo takes all.
 */
const PING: Record<PeerName, string> = {
  go: PROTOCOLS.echo,
  rust: PROTOCOLS.echo,
  python: PROTOCOLS.ping
}

describe.each(builtCells())('to $name', ({ peer: name, transport, encrypter }) => {
  let dialer: Libp2p<OpenerServices>
  let connection: Connection

  beforeEach(async () => {
    node = dialer = await createDialer(encrypter)
    peer = await startPeer(name)
    connection = await connect(dialer, peer.address(transport))
  })

  it('100 ping streams at once on one connection, ten times, are all answered', async () => {
    const pingOnce = async (): Promise<void> => {
      await roundTrip(await dialer.services.streamOpener.newStreamOn(connection, PING[name]))
    }

    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(Array.from({ length: STREAMS }, pingOnce))
    }

    expect(dialer.getConnections()).toStrictEqual([connection])
  })

  it('the ping protocol is spoken', async () => {
    const stream = await dialer.services.streamOpener.newStreamOn(connection, PROTOCOLS.ping)
    expect(replacedMethods(stream)).toContain('onData')
    await roundTrip(stream)
  })
})

describe.each(builtCells(['python']))('from $name', ({ peer: name, transport, encrypter }) => {
  it('100 ping streams at once on one connection, ten times, are all answered', async () => {
    node = await createStockNode(transport, {
      ...encryptedWith(encrypter),
      services: {
        streamOpener: streamOpener(),
        // 2 by default
        ping: ping({ maxInboundStreams: STREAMS })
      }
    })
    peer = await startPeer(name)

    for (let round = 0; round < ROUNDS; round++) {
      expect(await peer.exchange({ to: addressOf(node), protocol: PROTOCOLS.ping, size: 32, streams: STREAMS, concurrency: STREAMS, timeout: 60_000 })).toStrictEqual({ answered: STREAMS, failures: [] })
    }
  })
})
