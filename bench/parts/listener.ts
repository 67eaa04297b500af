/**
 * The other end, a process of its own: a node that knows nothing of this package,
 * on loopback and behind a link.
 */
import { addressOf, createStockNode } from '../../test/fixtures/nodes.ts'
import { createRelay } from '../../test/fixtures/relay.ts'
import { ECHO } from '../../test/fixtures/streams.ts'
import { ready } from './child.ts'
import { echo } from './echo.ts'
import { LINK_DELAY } from './link.ts'
import type { TransportName } from '../../test/fixtures/nodes.ts'

const node = await createStockNode(process.argv[2] as TransportName)
await node.handle(ECHO, echo)

// it is here and not at the dialer because there the CPU time is measured
const relay = await createRelay(addressOf(node), { delay: LINK_DELAY })

ready({
  loopback: addressOf(node).toString(),
  link: relay.addr.toString()
}, [node], [relay])
