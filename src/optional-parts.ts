/**
 * Parts of the service that are loaded when it starts, where an option asks for them: a
 * page need not load what it has no use for
 */
import type { Metrics } from './metrics.ts'
import type { Settings } from './options.ts'
import type { StreamOpenerComponents } from './types.ts'
import type { Connection, Logger } from '@libp2p/interface'

interface Part {
  start(connections: Connection[]): void
  stop(): void
  add?(connection: Connection): void
  delete?(connection: Connection): void
}

export class OptionalParts {
  #isStarted = false
  #parts?: Part[]
  readonly #components: StreamOpenerComponents
  readonly #settings: Settings
  readonly #log: Logger
  readonly #metrics: Metrics

  constructor (components: StreamOpenerComponents, settings: Settings, log: Logger, metrics: Metrics) {
    this.#components = components
    this.#settings = settings
    this.#log = log
    this.#metrics = metrics
  }

  async start (): Promise<void> {
    this.#isStarted = true
    this.#onLoaded(this.#parts ?? await this.#load())
  }

  stop (): void {
    this.#isStarted = false
    this.#parts?.forEach(part => { part.stop() })
  }

  add (connection: Connection): void {
    this.#parts?.forEach(part => { part.add?.(connection) })
  }

  delete (connection: Connection): void {
    this.#parts?.forEach(part => { part.delete?.(connection) })
  }

  #onLoaded (parts: Part[]): void {
    this.#parts ??= parts

    // it may have been stopped meanwhile
    if (this.#isStarted) {
      const connections = this.#components.connectionManager.getConnections()

      this.#parts.forEach(part => { part.start(connections) })
    }
  }

  async #load (): Promise<Part[]> {
    const { negotiation, quicReads, resume } = this.#settings
    const hasQuic = this.#components.transportManager.getTransports().some(transport => transport[Symbol.toStringTag] === 'quic')
    const loading: Array<Promise<Part>> = []

    if (resume || (negotiation !== 'identified' && negotiation !== 'full')) {
      loading.push(import('./optimistic-upgrades.ts').then(({ OptimisticUpgrades }) => new OptimisticUpgrades(this.#components, this.#settings, this.#log, this.#metrics)))
    }

    if (quicReads && hasQuic) {
      loading.push(import('./compat/quic/quic-streams.ts').then(({ QuicStreams }) => new QuicStreams()))
    }

    return Promise.all(loading)
  }
}
