/**
 * What peers said in their last identify message, kept with their metadata in the
 * peer store. The protocols that the peer store has itself are not that: libp2p
 * adds to them what the peer opens to us.
 */
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { LAST_IDENTIFY_KEY } from '../constants.ts'
import type { Logger, PeerId, PeerStore } from '@libp2p/interface'

export class LastIdentify {
  readonly #peerStore: PeerStore
  readonly #log: Logger

  constructor (peerStore: PeerStore, log: Logger) {
    this.#peerStore = peerStore
    this.#log = log
  }

  store (peerId: PeerId, protocols: string[]): void {
    this.#peerStore.merge(peerId, {
      metadata: {
        [LAST_IDENTIFY_KEY]: fromString(protocols.join('\n'))
      }
    }).catch(err => {
      this.#log.error('could not store the protocols of %p - %e', peerId, err)
    })
  }

  async load (peerId: PeerId): Promise<Set<string>> {
    try {
      const { metadata } = await this.#peerStore.get(peerId)
      const stored = metadata.get(LAST_IDENTIFY_KEY)

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
