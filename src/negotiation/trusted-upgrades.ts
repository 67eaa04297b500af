/**
 * Which encrypter and muxer each peer is taken to speak when it is dialled
 */
import { LAST_ENCRYPTERS_KEY, MAX_REFUSALS } from '../constants.ts'
import { PeerMetadata } from './peer-metadata.ts'
import { addBounded } from '../util/bounded.ts'
import type { Logger, PeerId, PeerStore } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

export class TrustedUpgrades {
  /**
   * Who has not confirmed what it was taken to speak, and has not selected it since
   */
  readonly #refused = new Set<string>()
  readonly #metadata: PeerMetadata

  constructor (peerStore: PeerStore, log: Logger) {
    this.#metadata = new PeerMetadata(peerStore, LAST_ENCRYPTERS_KEY, log)
  }

  /**
   * The encrypter that libp2p selected on the last connection, and would again: it asks
   * for the same ones in the same order until then
   */
  async remembered (peer: PeerId, encrypters: string[]): Promise<string | undefined> {
    const last = [...await this.#metadata.load(peer)]

    return last.every((encrypter, i) => encrypter === encrypters[i]) ? last.at(-1) : undefined
  }

  /**
   * libp2p has selected the encrypter
   */
  remember (peer: PeerId, encrypters: string[], encrypter: string): void {
    this.#metadata.store(peer, encrypters.slice(0, encrypters.indexOf(encrypter) + 1))
  }

  forget (peer: PeerId): void {
    this.#metadata.store(peer, [])
  }

  /**
   * Where nobody knows who the peer is, it is the address that is meant
   */
  hasRefused (target: PeerId | Multiaddr, protocol: string): boolean {
    return this.#refused.has(`${target} ${protocol}`)
  }

  refused (target: PeerId | Multiaddr, protocol: string): void {
    addBounded(this.#refused, `${target} ${protocol}`, MAX_REFUSALS)
  }

  confirmed (target: PeerId | Multiaddr, protocol: string): void {
    this.#refused.delete(`${target} ${protocol}`)
  }
}
