/**
 * What is left of connections with TLS on their socket
 */
import { TLSSocket } from 'node:tls'
import { queryObjects } from 'node:v8'
import { describe, expect, it, vi } from 'vitest'
import { EncryptedConnection } from '../../src/compat/tls/encrypted-connection.ts'
import { Handshake } from '../../src/tls/handshake.ts'
import { tls } from '../../src/tls/index.ts'
import { collectGarbage } from '../support/gc.ts'
import { addressOf, createStockNode, stopNodes } from '../support/nodes.ts'
import { rounds } from '../support/rounds.ts'
import { bytes, closed, ECHO, echo, exchange } from '../support/streams.ts'

describe('many connections', () => {
  function count (): number[] {
    collectGarbage()

    return [EncryptedConnection, Handshake, TLSSocket].map(type => queryObjects(type, { format: 'count' }))
  }

  it('leave nothing behind, however they end', async () => {
    const listener = await createStockNode('tcp', { connectionEncrypters: [tls()] })
    const dialer = await createStockNode(undefined, { connectionEncrypters: [tls()] })
    await listener.handle(ECHO, echo)
    const addr = addressOf(listener)

    try {
      for (let i = 0; i < rounds(2_000, 40); i++) {
        if (i % 5 === 4) {
          // some of these are through before
          await dialer.dial(addr, { signal: AbortSignal.timeout(i % 7 + 1) }).then(async connection => connection.close(), () => {})
          continue
        }

        const connection = await dialer.dial(addr)

        if (i % 5 === 0) {
          await exchange(await connection.newStream(ECHO), bytes('hello'))
        }

        if (i % 5 < 2) {
          await connection.close()
        } else if (i % 5 === 2) {
          connection.abort(new Error('No more'))
        } else {
          (connection as any).maConn.socket.resetAndDestroy()
          await closed(connection as any)
        }
      }

      expect(queryObjects(Handshake, { format: 'count' })).toBeGreaterThan(0)
      await vi.waitFor(() => {
        expect(process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap')).toEqual([])
        // libp2p may hold the last of them
        expect(Math.max(...count())).toBeLessThan(3)
      }, { timeout: 20_000, interval: 1_000 })
    } finally {
      await stopNodes(dialer, listener)
    }
  })
})
