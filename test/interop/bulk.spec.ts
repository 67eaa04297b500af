import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { receiveBulk, sendBulk } from '../../src/index.ts'
import { pattern, readAll } from '../support/streams.ts'
import { createDialer, encryptedWith } from './nodes.ts'
import { addressOf, createOpenerNode } from '../support/nodes.ts'
import { startPeer } from '../support/peer-process.ts'
import { builtCells, isBuilt } from '../support/peers.ts'
import { PROTOCOLS } from '../support/peer-protocols.ts'
import type { PeerProcess } from '../support/peer-process.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { Libp2p } from '@libp2p/interface'

const CHUNK = 262_144
const CHUNKS = 1_024

describe.each(builtCells(['go', 'rust']))('to $name', ({ peer: name, transport, encrypter }) => {
  let dialer: Libp2p<OpenerServices>
  let peer: PeerProcess

  beforeEach(async () => {
    dialer = await createDialer(encrypter)
    peer = await startPeer(name)
  })

  afterEach(async () => {
    await dialer.stop()
    await peer.stop()
  })

  it('256 MiB arrive as they were sent', async () => {
    const checksum = createHash('sha256')

    function * source (): Generator<Uint8Array> {
      const bytes = pattern(CHUNK + CHUNKS)

      for (let i = 0; i < CHUNKS; i++) {
        // no two are the same
        const chunk = bytes.subarray(i, i + CHUNK)
        checksum.update(chunk)
        yield chunk
      }
    }

    const bulk = await dialer.services.streamOpener.openBulkStream(peer.address(transport), PROTOCOLS.sink, { transport, fallback: 'none' })
    expect(bulk.transport).toBe(transport)
    expect(bulk.fellBack).toBe(false)

    const [answer, { bytes }] = await Promise.all([readAll(bulk.stream), sendBulk(bulk.stream, source())])

    expect(bytes).toBe(CHUNK * CHUNKS)
    expect(JSON.parse(new TextDecoder().decode(answer))).toStrictEqual({ bytes, sha256: checksum.digest('hex') })
  })
})

describe.each(builtCells(['go']))('from $name', ({ transport, encrypter }) => {
  let peer: PeerProcess

  beforeEach(async () => { peer = await startPeer('go') })
  afterEach(async () => { await peer.stop() })

  it('64 MiB arrive, and go gets the answer', async () => {
    const listener = await createOpenerNode({}, {
      ...encryptedWith(encrypter),
      addresses: { listen: [transport === 'quic' ? '/ip4/127.0.0.1/udp/0/quic-v1' : '/ip4/127.0.0.1/tcp/0'] }
    })
    let received = 0

    onTestFinished(async () => { await listener.stop() })
    await listener.handle(PROTOCOLS.count, async stream => {
      for await (const chunk of receiveBulk(stream)) {
        received += chunk.byteLength
      }

      stream.send(new TextEncoder().encode(String(received)))
      await stream.close()
    })

    const took = await peer.bulk({ to: addressOf(listener), protocol: PROTOCOLS.count, size: 256 * CHUNK, chunk: 65_536 })

    expect(received).toBe(256 * CHUNK)
    expect(took).toBeGreaterThan(0)
  })
})

it.each((['go'] as const).filter(isBuilt))('a %s peer counts what another one sends, and knows what CPU time that takes', async name => {
  const [from, to] = await Promise.all([startPeer(name), startPeer(name)])

  onTestFinished(async () => { await Promise.all([from.stop(), to.stop()]) })

  const before = await to.cpu()
  await from.bulk({ to: to.address('tcp'), protocol: PROTOCOLS.count, size: 64 * CHUNK + 1, chunk: 65_536 })

  expect(await to.cpu()).toBeGreaterThan(before)
  await expect(from.bulk({ to: to.address('tcp'), protocol: PROTOCOLS.echo, size: 1, chunk: 1 })).rejects.toThrow()
})
