import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import type { KadDHT, KadDHTInit } from '@libp2p/kad-dht'
import type { Ping } from '@libp2p/ping'
import type { ServiceFactoryMap } from 'libp2p'

export type DHTServices = { dht: KadDHT, ping: Ping }

/**
 * A DHT that takes any key and value, on loopback, and does nothing unless it is
 * asked to
 */
export function dhtServices (init: KadDHTInit): ServiceFactoryMap<DHTServices> {
  return {
    ping: ping(),
    dht: kadDHT({
      protocol: '/bench/kad/1.0.0',
      peerInfoMapper: passthroughMapper,
      validators: { bench: async () => {} },
      selectors: { bench: () => 0 },
      allowQueryWithZeroPeers: true,
      initialQuerySelfInterval: 3_600_000,
      querySelfInterval: 3_600_000,
      ...init
    })
  }
}
