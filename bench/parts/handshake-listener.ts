/**
 * What handshakes are made with: a node for each encrypter, in a process of its own. No
 * service of theirs does anything on a new connection.
 */
import { ready } from './child.ts'
import { createHandshakeNode, CPU, ENCRYPTERS } from './handshakes.ts'
import type { EncrypterName } from './handshakes.ts'
import type { Libp2p } from '@libp2p/interface'

const nodes = new Map<EncrypterName, Libp2p>()

for (const name of ENCRYPTERS) {
  const node = await createHandshakeNode(name, ['/ip4/127.0.0.1/tcp/0'])

  await node.handle(CPU, async stream => {
    const { user, system } = process.cpuUsage()

    stream.send(new TextEncoder().encode(JSON.stringify(user + system)))
    await stream.close()
  })
  nodes.set(name, node)
}

ready(Object.fromEntries([...nodes].map(([name, node]) => [name, String(node.getMultiaddrs()[0])])), [...nodes.values()])
