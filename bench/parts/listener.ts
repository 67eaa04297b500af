/**
 * The other end, a process of its own: a node that knows nothing of this package,
 * on loopback and behind a link. It goes when the process that started it does.
 */
import { addressOf, createStockNode } from '../../test/fixtures/nodes.ts'
import { createRelay } from '../../test/fixtures/relay.ts'
import { ECHO } from '../../test/fixtures/streams.ts'
import type { TransportName } from '../../test/fixtures/nodes.ts'
import type { Stream } from '@libp2p/interface'

/**
 * How long everything takes through the link, one way, in ms
 */
const LINK_DELAY = 25

/**
 * Cheaper than `for await`, so that less of what is measured is the listener.
 * Dialers have to wait for the answer before they close the stream, or the
 * listeners come too late for the FIN.
 */
function echo (stream: Stream): void {
  stream.addEventListener('message', evt => { stream.send(evt.data) })
  stream.addEventListener('remoteCloseWrite', () => {
    stream.close().catch(err => { stream.abort(err) })
  })
}

const node = await createStockNode(process.argv[2] as TransportName)
await node.handle(ECHO, echo)

// it is here and not at the dialer because there the CPU time is measured
const relay = await createRelay(addressOf(node), { delay: LINK_DELAY })

process.on('disconnect', () => {
  Promise.allSettled([relay.close(), node.stop()]).then(() => process.exit(), () => {})
})

process.send?.({
  loopback: addressOf(node).toString(),
  link: relay.addr.toString()
})
