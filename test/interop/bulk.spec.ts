import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sendBulk } from '../../src/index.ts'
import { pattern, readAll } from '../support/streams.ts'
import { createDialer } from './nodes.ts'
import { startPeer } from '../support/peer-process.ts'
import { builtCells } from '../support/peers.ts'
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
