/**
 * The other end, a process of its own: a node that knows nothing of this package
 * unless it is to guard its handlers or to have its TLS, on loopback and behind links
 */
import { noise } from '@libp2p/noise'
import { tls as stockTls } from '@libp2p/tls'
import { streamOpener } from '../../src/index.ts'
import { tls } from '../../src/tls/index.ts'
import { addressOf, createStockNode } from '../../test/support/nodes.ts'
import { ECHO } from '../../test/support/streams.ts'
import { ready } from './child.ts'
import { echo } from './echo.ts'
import { createLinks } from './links.ts'
import { answerAtEnd, REQUEST_RESPONSE } from './request-response.ts'
import type { ListenerKind } from './with-listener.ts'
import type { NodeInit, TransportName } from '../../test/support/nodes.ts'

const [transport, kind] = process.argv.slice(2)

const INIT: Record<ListenerKind, NodeInit> = {
  // the dialer chooses
  stock: { connectionEncrypters: [noise(), stockTls()] },
  guarded: { services: { streamOpener: streamOpener() } },
  tls: { connectionEncrypters: [tls()] }
}

const node = await createStockNode(transport as TransportName, INIT[kind as ListenerKind])
await node.handle(ECHO, echo)
await node.handle(REQUEST_RESPONSE, answerAtEnd)

// they are here and not at the dialer because there the CPU time is measured
const { addresses, relays } = await createLinks(addressOf(node))

ready(addresses, [node], relays)
