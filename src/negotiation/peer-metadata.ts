/**
 * Protocols that are kept with the metadata of peers in the peer store. Those that the
 * peer store has itself are not what peers have said or confirmed: libp2p adds to them
 * what a peer opens to us.
 */
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import type { Logger, PeerId, PeerStore } from '@libp2p/interface'

export class PeerMetadata {
  readonly #peerStore: PeerStore
  readonly #key: string
  readonly #log: Logger

  constructor (peerStore: PeerStore, key: string, log: Logger) {
    this.#peerStore = peerStore
    this.#key = key
    this.#log = log
  }

  store (peerId: PeerId, protocols: string[]): void {
    this.#peerStore.merge(peerId, {
      metadata: {
        [this.#key]: fromString(protocols.join('\n'))
      }
    }).catch(err => {
      this.#log.error('could not store the protocols of %p - %e', peerId, err)
    })
  }

  async load (peerId: PeerId): Promise<Set<string>> {
    try {
      const { metadata } = await this.#peerStore.get(peerId)
      const stored = metadata.get(this.#key)

      return new Set(stored == null ? [] : toString(stored).split('\n'))
    } catch (err: any) {
      if (err.name !== 'NotFoundError') {
        this.#log.error('could not load the protocols of %p - %e', peerId, err)
      }

      return new Set()
    }
  }

  forget (peerId: PeerId, protocol: string): void {
    void this.load(peerId).then(protocols => {
      if (protocols.delete(protocol)) {
        this.store(peerId, [...protocols])
      }
    })
  }
}
