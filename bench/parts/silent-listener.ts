/**
 * A peer that says in identify that it speaks the echo protocol, takes its streams,
 * and never answers their handshake
 */
import { addressOf, createStockNode } from '../../test/fixtures/nodes.ts'
import { handleRaw } from '../../test/fixtures/raw-listener.ts'
import { ECHO } from '../../test/fixtures/streams.ts'
import { ready } from './child.ts'

const node = await createStockNode('tcp')
await handleRaw(node, ECHO, () => {})

ready(addressOf(node).toString(), [node])
