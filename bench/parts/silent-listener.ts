/**
 * A peer that says in identify that it speaks the echo protocol, takes its streams,
 * and never answers their handshake
 */
import { addressOf, createStockNode } from '../../test/support/nodes.ts'
import { handleRaw } from '../../test/support/raw-listener.ts'
import { ECHO } from '../../test/support/streams.ts'
import { ready } from './child.ts'

const node = await createStockNode('tcp')
await handleRaw(node, ECHO, () => {})

ready(addressOf(node).toString(), [node])
