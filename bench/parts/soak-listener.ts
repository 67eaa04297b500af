/**
 * A listener in a process of its own that guards its handlers, tells the size of its
 * heap and kills connections
 */
import { AbortError } from '@libp2p/interface'
import { streamOpener } from '../../src/index.ts'
import { addressOf, createStockNode } from '../../test/support/nodes.ts'
import { ECHO } from '../../test/support/streams.ts'
import { ready } from './child.ts'
import { echo } from './echo.ts'
import { settledHeap } from './memory.ts'
import { HEAP, KILL } from './soak-protocols.ts'
import type { TransportName } from '../../test/support/nodes.ts'

const node = await createStockNode(process.argv[2] as TransportName, { services: { streamOpener: streamOpener() } })

await node.handle(ECHO, echo)
await node.handle(HEAP, async stream => {
  stream.send(Buffer.from(`${await settledHeap()}`))
  await stream.close()
})
await node.handle(KILL, (stream, connection) => { connection.abort(new AbortError('Killed')) })

ready(addressOf(node).toString(), [node])
