/**
 * Many peers in one process: stock nodes on loopback that echo, and let any number
 * of idle streams be open
 */
import { yamux } from '@libp2p/yamux'
import { addressOf, createStockNode } from '../../test/support/nodes.ts'
import { ECHO } from '../../test/support/streams.ts'
import { ready } from './child.ts'
import { echo } from './echo.ts'
import { IDLE, MANY_STREAMS } from './idle.ts'

const nodes = await Promise.all(Array.from({ length: Number(process.argv[2]) }, async () => {
  const node = await createStockNode('tcp', { streamMuxers: [yamux({ maxInboundStreams: MANY_STREAMS })] })

  await node.handle(ECHO, echo)
  await node.handle(IDLE, () => {}, { maxInboundStreams: MANY_STREAMS })

  return node
}))

ready(nodes.map(node => addressOf(node).toString()), nodes)
