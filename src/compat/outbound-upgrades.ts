/**
 * What upstream does: the upgrader of libp2p 3 asks a peer that was dialled for each of the
 * node's encrypters, and then the muxers, and waits for the answer (src/upgrader.ts,
 * `_encryptOutbound` and `_multiplexOutbound`). Nobody can tell it what the peer speaks.
 * All outbound connections go through the method `upgradeOutbound` that transports call,
 * and each encrypter's `secureOutbound`. Both are public, but not to be replaced.
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/upgrader.ts,
 * test/interop/upstream/js-libp2p-hidden.md
 *
 * How it is detected: the methods are there, and can be replaced.
 *
 * Without it: libp2p upgrades all connections, which costs a round trip or two.
 *
 * Until: libp2p negotiates lazily itself, or dials take the protocols that the peer is
 * known to speak.
 */
import { override } from '../util/override.ts'
import type { Override } from '../util/override.ts'
import type { Connection, ConnectionEncrypter, MessageStream, MultiaddrConnection, SecuredConnection, Upgrader, UpgraderOptions, UpgraderWithoutEncryptionOptions } from '@libp2p/interface'

export type OutboundOptions = Partial<UpgraderOptions & UpgraderWithoutEncryptionOptions>

export type UpgradeOutbound = (maConn: MultiaddrConnection, options: OutboundOptions) => Promise<Connection>

/**
 * The method has two signatures, this is what they have in common
 */
interface Replaced {
  upgradeOutbound: UpgradeOutbound
}

type ReplacedEncrypter = Pick<ConnectionEncrypter, 'secureOutbound'>

export interface OutboundUpgradesInit {
  /**
   * A connection is to be upgraded, which is what `stock` does
   */
  upgrade(maConn: MultiaddrConnection, options: OutboundOptions, stock: UpgradeOutbound): Promise<Connection>

  /**
   * A connection has been encrypted
   */
  onSecured(connection: MessageStream, secured: SecuredConnection): void
}

export class OutboundUpgrades {
  readonly #overrides: Array<Override<Replaced> | Override<ReplacedEncrypter>> = []
  readonly #upgrader: Upgrader
  readonly #init: OutboundUpgradesInit

  constructor (upgrader: Upgrader, init: OutboundUpgradesInit) {
    this.#upgrader = upgrader
    this.#init = init
  }

  start (): void {
    const upgrader = this.#upgrader

    if (this.#overrides.length > 0 || [upgrader.upgradeOutbound, upgrader.getConnectionEncrypters].some(method => typeof method !== 'function')) {
      return
    }

    const upgrades: Override<Replaced> = override<Replaced>(upgrader as Replaced, {
      upgradeOutbound: async (maConn, options) => {
        const stock: UpgradeOutbound = async (maConn, options) => upgrades.original.upgradeOutbound.call(upgrader, maConn, options)

        // somebody may have wrapped this, and go on calling it
        return this.#overrides.length > 0 ? this.#init.upgrade(maConn, options, stock) : stock(maConn, options)
      }
    })

    this.#overrides.push(upgrades, ...[...upgrader.getConnectionEncrypters().values()].map(encrypter => this.#watch(encrypter)))
  }

  stop (): void {
    this.#overrides.splice(0).forEach(overridden => { overridden.restore() })
  }

  #watch (encrypter: ConnectionEncrypter): Override<ReplacedEncrypter> {
    const watched: Override<ReplacedEncrypter> = override<ReplacedEncrypter>(encrypter, {
      secureOutbound: async (connection, options) => {
        const secured = await watched.original.secureOutbound.call(encrypter, connection, options)
        this.#init.onSecured(connection, secured)

        return secured
      }
    })

    return watched
  }
}
