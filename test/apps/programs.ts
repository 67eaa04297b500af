/**
 * What the programs are made of, pinned: the newest that run on libp2p 3
 */
import type { Dependencies } from '../support/packages.ts'

export const PROGRAMS: Dependencies = {
  '@peerbit/indexer-simple': '1.2.13',
  '@ipld/dag-cbor': '9.2.5',
  libp2p: '3.3.11',
  '@libp2p/identify': '4.1.14',
  '@libp2p/noise': '17.0.3',
  '@libp2p/tcp': '11.0.28',
  '@libp2p/websockets': '10.1.21',
  '@libp2p/yamux': '8.0.3',
  '@chainsafe/libp2p-quic': '2.1.1',
  '@libp2p/circuit-relay-v2': '4.2.13',
  '@libp2p/echo': '3.1.0',
  '@libp2p/floodsub': '11.0.28',
  '@libp2p/gossipsub': '17.1.1',
  '@libp2p/http': '2.0.6',
  '@libp2p/kad-dht': '16.4.5',
  '@libp2p/mplex': '12.0.32',
  '@libp2p/ping': '3.1.13',
  '@libp2p/webrtc': '6.0.33',
  '@helia/bitswap': '4.0.19',
  '@helia/libp2p': '2.1.4',
  '@helia/unixfs': '8.0.5',
  helia: '7.1.15',
  '@orbitdb/core': '4.0.0',
  peerbit: '5.3.22',
  // of the major version that Lodestar pins
  'lodestar-gossipsub': 'npm:@libp2p/gossipsub@16.0.4'
}
