import { createHash } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sendBulk } from '../../src/bulk/send-bulk.ts'
import { pattern, readAll } from '../fixtures/streams.ts'
import { connect, createDialer } from './nodes.ts'
import { startPeer } from './peer-process.ts'
import { builtCells } from './peers.ts'
import { PROTOCOLS } from './protocols.ts'
import type { PeerProcess } from './peer-process.ts'
import type { OpenerServices } from '../fixtures/nodes.ts'
import type { Connection, Libp2p } from '@libp2p/interface'

const CHUNK = 262_144
const CHUNKS = 1_024

describe.each(builtCells(['go', 'rust']))('to $name', ({ peer: name, transport, encrypter }) => {
  let dialer: Libp2p<OpenerServices>
  let peer: PeerProcess
  let connection: Connection

  beforeEach(async () => {
    dialer = await createDialer(encrypter)
    peer = await startPeer(name)
    connection = await connect(dialer, peer.address(transport))
  })

  afterEach(async () => {
    await dialer.stop()
    await peer.stop()
  })

  // js-libp2p's yamux puts all that waits into one frame, and rust-libp2p hangs up on
  // those of more than 1 MiB, see upstream/js-libp2p-yamux-frames.md
  const options = name === 'rust' && transport === 'tcp' ? { highWaterMark: 524_288 } : {}

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

    const stream = await dialer.services.streamOpener.newStreamOn(connection, PROTOCOLS.sink)
    const [answer, { bytes }] = await Promise.all([readAll(stream), sendBulk(stream, source(), options)])

    expect(bytes).to.equal(CHUNK * CHUNKS)
    expect(JSON.parse(new TextDecoder().decode(answer))).to.deep.equal({ bytes, sha256: checksum.digest('hex') })
  })
})
