/**
 * A listener in a process of its own that guards its handlers, tells the size of its
 * heap and kills connections
 */
import { setTimeout as delay } from 'node:timers/promises'
import { AbortError } from '@libp2p/interface'
import { streamOpener } from '../../src/index.ts'
import { addressOf, createStockNode } from '../../test/support/nodes.ts'
import { ECHO } from '../../test/support/streams.ts'
import { ready } from './child.ts'
import { echo } from './echo.ts'
import { settledHeap } from './memory.ts'
import { HEAP, KILL } from './soak-protocols.ts'
import type { TransportName } from '../../test/support/nodes.ts'

/**
 * Over QUIC libp2p holds each stream for as long as its negotiation might have taken. With
 * the 10 s of its default that is much, and differs with how fast the machine is.
 */
const NEGOTIATION_TIMEOUT_MS = 1000

const transport = process.argv[2] as TransportName
const node = await createStockNode(transport, {
  connectionManager: { inboundStreamProtocolNegotiationTimeout: NEGOTIATION_TIMEOUT_MS },
  services: { streamOpener: streamOpener() }
})

await node.handle(ECHO, echo)
await node.handle(HEAP, async stream => {
  await delay(transport === 'quic' ? NEGOTIATION_TIMEOUT_MS : 0)
  stream.send(Buffer.from(`${await settledHeap()}`))
  await stream.close()
})
await node.handle(KILL, (stream, connection) => { connection.abort(new AbortError('Killed')) })

ready(addressOf(node).toString(), [node])
