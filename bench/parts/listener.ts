/**
 * The other end, a process of its own: a node that knows nothing of this package
 * unless it is to guard its handlers, on loopback and behind links
 */
import { noise } from '@libp2p/noise'
import { tls } from '@libp2p/tls'
import { streamOpener } from '../../src/index.ts'
import { addressOf, createStockNode } from '../../test/support/nodes.ts'
import { ECHO } from '../../test/support/streams.ts'
import { ready } from './child.ts'
import { echo } from './echo.ts'
import { createLinks } from './links.ts'
import { answerAtEnd, REQUEST_RESPONSE } from './request-response.ts'
import type { TransportName } from '../../test/support/nodes.ts'

const [transport, kind] = process.argv.slice(2)

const node = await createStockNode(transport as TransportName, {
  // the dialer chooses
  connectionEncrypters: [noise(), tls()],
  services: kind === 'guarded' ? { streamOpener: streamOpener() } : {}
})
await node.handle(ECHO, echo)
await node.handle(REQUEST_RESPONSE, answerAtEnd)

// they are here and not at the dialer because there the CPU time is measured
const { addresses, relays } = await createLinks(addressOf(node))

ready(addresses, [node], relays)
