import { randomBytes } from 'node:crypto'
import { ping } from '@libp2p/ping'
import { byteStream } from '@libp2p/utils'
import { afterEach, describe, expect, it } from 'vitest'
import { streamOpener } from '../../src/index.ts'
import { addressOf, createStockNode, stopNodes } from '../fixtures/nodes.ts'
import { connect, createDialer, encryptedWith } from './nodes.ts'
import { startPeer } from './peer-process.ts'
import { builtCells } from './peers.ts'
import { PROTOCOLS } from './protocols.ts'
import type { PeerProcess } from './peer-process.ts'
import type { Libp2p, Stream } from '@libp2p/interface'

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
  expect(Buffer.compare((await bytes.read({ bytes: 32 })).subarray(), data)).to.equal(0)
  await stream.close()
}

// a go-libp2p listener takes 2 streams of ping from a peer
describe.each(builtCells(['rust', 'python']))('100 streams at once on one connection, ten times, to $name', ({ peer: name, transport, encrypter }) => {
  it('are all pinged', async () => {
    const dialer = await createDialer(encrypter)
    node = dialer
    peer = await startPeer(name)
    const connection = await connect(dialer, peer.address(transport))

    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(Array.from({ length: STREAMS }, async () => {
        await roundTrip(await dialer.services.streamOpener.newStreamOn(connection, PROTOCOLS.ping))
      }))
    }

    expect(dialer.getConnections()).to.deep.equal([connection])
  })
})

describe.each(builtCells(['python']))('100 streams at once on one connection, ten times, from $name', ({ peer: name, transport, encrypter }) => {
  it('are all answered', async () => {
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
      expect(await peer.exchange({ to: addressOf(node), protocol: PROTOCOLS.ping, size: 32, streams: STREAMS, concurrency: STREAMS, timeout: 60_000 }))
        .to.deep.equal({ answered: STREAMS, failures: [] })
    }
  })
})
