import { multiaddr } from '@multiformats/multiaddr'
import type { IdentifyResult, Libp2p } from '@libp2p/interface'

const AT_ONCE = 20

/**
 * Connects the node to all of them, and returns what each one said in identify
 */
export async function connectAll (node: Libp2p, addresses: string[]): Promise<IdentifyResult[]> {
  const results = new Map<string, IdentifyResult>()
  const peers = addresses.map(addr => addr.split('/').at(-1) ?? '')
  const { promise: identified, resolve } = Promise.withResolvers<undefined>()

  function onIdentify ({ detail }: CustomEvent<IdentifyResult>): void {
    results.set(detail.peerId.toString(), detail)

    if (peers.every(peer => results.has(peer))) {
      resolve(undefined)
    }
  }

  node.addEventListener('peer:identify', onIdentify)

  for (let i = 0; i < addresses.length; i += AT_ONCE) {
    await Promise.all(addresses.slice(i, i + AT_ONCE).map(async addr => node.dial(multiaddr(addr))))
  }

  await identified
  node.removeEventListener('peer:identify', onIdentify)

  return peers.map(peer => results.get(peer) as IdentifyResult)
}
