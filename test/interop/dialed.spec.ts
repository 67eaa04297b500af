import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { streamOpener } from '../../src/index.ts'
import { addressOf, createStockNode } from '../support/nodes.ts'
import { createRelay } from '../support/relay.ts'
import { HANDLER_STYLES, readAll } from '../support/streams.ts'
import { encryptedWith } from './nodes.ts'
import { startPeer } from '../support/peer-process.ts'
import { builtCells } from '../support/peers.ts'
import { turn } from '../support/wait.ts'
import type { PeerProcess } from '../support/peer-process.ts'
import type { Cell } from '../support/peers.ts'
import type { Relay } from '../support/relay.ts'
import type { Libp2p, Stream } from '@libp2p/interface'

/**
 * Handlers that look at the state of the stream and do not depend on being told
 */
const STATE_STYLES = ['/byte-stream/1.0.0', '/state/1.0.0']

/**
 * A handler that is as late as can be, and then reads as most do
 */
const AFTER_THE_END = '/after-the-end/1.0.0'

async function afterTheEnd (stream: Stream): Promise<void> {
  while (stream.remoteWriteStatus !== 'closed') {
    await turn()
  }

  stream.send(await readAll(stream))
  await stream.close()
}

async function createListener ({ transport, encrypter }: Cell, guarded: boolean): Promise<Libp2p> {
  const node = await createStockNode(transport, {
    ...encryptedWith(encrypter),
    services: guarded ? { streamOpener: streamOpener() } : {}
  })

  await node.handle(AFTER_THE_END, afterTheEnd)

  for (const [protocol, handler] of Object.entries(HANDLER_STYLES)) {
    await node.handle(protocol, handler)
  }

  return node
}

describe.each(builtCells())('$name that dials us', cell => {
  let peer: PeerProcess

  beforeAll(async () => {
    peer = await startPeer(cell.peer)
  })

  afterAll(async () => {
    await peer.stop()
  })

  describe('and finds a guarded listener', () => {
    let listener: Libp2p

    // and with it a connection: a py-libp2p one is used up by 1,000 streams, see
    // upstream/py-libp2p-quic-1000-streams.md
    beforeEach(async () => {
      listener = await createListener(cell, true)
    })

    afterEach(async () => {
      await listener.stop()
    })

    it.each([...Object.keys(HANDLER_STYLES), AFTER_THE_END])('is answered at the end of each request by %s', async protocol => {
      for (const [size, streams] of [[7, 100], [1_000, 50], [50_000, 20]] as const) {
        expect(await peer.exchange({ to: addressOf(listener), protocol, size, streams, concurrency: 20, timeout: 60_000 })).toMatchObject({ answered: streams })
      }
    })
  })

  describe('and finds a stock listener', () => {
    let listener: Libp2p

    beforeEach(async () => {
      listener = await createListener(cell, false)
    })

    afterEach(async () => {
      await listener.stop()
    })

    it.each(STATE_STYLES)('is answered at the end of each request by %s', async protocol => {
      expect(await peer.exchange({ to: addressOf(listener), protocol, size: 7, streams: 100, concurrency: 20, timeout: 60_000 })).toMatchObject({ answered: 100 })
    })

    // see upstream/js-libp2p-lost-fin.md
    it('is never answered by a handler that begins to listen after the end: libp2p forgets about it', async () => {
      const { answered, failures } = await peer.exchange({ to: addressOf(listener), protocol: AFTER_THE_END, size: 7, streams: 10, concurrency: 10, timeout: 1_000 })

      expect(answered).toBe(0)
      expect(failures).toHaveLength(10)
    })
  })
})

// py-libp2p negotiates every stream in full
describe.each(builtCells(['go', 'rust']))('$name that dials us', cell => {
  let peer: PeerProcess
  let listener: Libp2p
  let relay: Relay

  beforeEach(async () => {
    peer = await startPeer(cell.peer)
    listener = await createListener(cell, true)
    relay = await createRelay(addressOf(listener))
  })

  afterEach(async () => {
    relay.release()
    await peer.stop()
    await listener.stop()
    await relay.close()
  })

  it('sends request and end before anything comes back, and our handler gets both', async () => {
    const exchange = { to: relay.addr, protocol: '/upload/1.0.0', size: 7, streams: 1, concurrency: 1, timeout: 60_000 }
    const requests: Uint8Array[] = []
    let ended = Promise.withResolvers<void>()

    await listener.handle('/upload/1.0.0', async stream => {
      const request = await readAll(stream)
      requests.push(request)
      ended.resolve()
      stream.send(request)
      await stream.close()
    })

    // connects, and waits for identify
    expect(await peer.exchange(exchange)).toMatchObject({ answered: 1 })

    relay.hold()
    ended = Promise.withResolvers()
    const answered = peer.exchange(exchange)
    await ended.promise
    expect(requests.at(-1)).toEqual(new Uint8Array(7).fill(7))

    relay.release()
    expect(await answered).toMatchObject({ answered: 1 })
  })
})
