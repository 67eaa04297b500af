import { afterEach, expect, it } from 'vitest'
import { addressOf, createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { ECHO } from './support/streams.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Libp2p } from '@libp2p/interface'

let dialer: Libp2p<OpenerServices>

afterEach(async () => stopNodes(dialer))

it('a WebSocket that cannot be opened is an Error, while libp2p rejects with an event', async () => {
  dialer = await createOpenerNode()
  const listener = await createStockNode('ws')
  const addr = addressOf(listener)
  await listener.stop()

  expect(await dialer.dialProtocol(addr, ECHO).catch(err => err)).not.toBeInstanceOf(Error)

  const err = await dialer.services.streamOpener.newStream(addr, ECHO).catch(err => err)
  expect(err).toBeInstanceOf(Error)
  expect(err).toHaveProperty('name', 'DialError')
  expect(err).toHaveProperty('cause.type', 'error')
})
