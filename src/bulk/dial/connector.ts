/**
 * Finds the connection for a bulk stream: step by step, in each one that is open or
 * else a new one
 */
import { DialError, NotFoundError } from '@libp2p/interface'
import { raceSignal } from 'race-signal'
import { closeUseless, isMuxerClosed } from '../../compat/closed-muxers.ts'
import { CONNECTION_ATTEMPT_DELAY, FAR_DIAL_TIMEOUT, MAX_ADDRESSES, NEAR_DIAL_TIMEOUT } from '../../constants.ts'
import { DialDeniedError } from '../../errors.ts'
import { findAddresses } from './addresses.ts'
import { scopeOf } from './filters.ts'
import { happyEyeballs } from './happy-eyeballs.ts'
import { stepsOf, suits } from './steps.ts'
import { toError } from '../../util/to-error.ts'
import { Trail } from './trail.ts'
import { transportOf } from '../../transport-of.ts'
import type { AddressDials } from './address-dials.ts'
import type { BulkAddress, Target } from './addresses.ts'
import type { ReferenceCounts } from './reference-counts.ts'
import type { Choice, Reuse } from '../options.ts'
import type { Step } from './steps.ts'
import type { StreamOpenerComponents, TransportName } from '../../types.ts'
import type { Connection, Logger, OpenConnectionProgressEvents } from '@libp2p/interface'
import type { ProgressOptions } from 'progress-events'

export interface ConnectInit extends ProgressOptions<OpenConnectionProgressEvents> {
  target: Target
  choice: Choice
  reuse: Reuse

  /**
   * Who uses the connection from when it is there
   */
  user: object
  signal: AbortSignal
}

export interface Connected {
  connection: Connection
  transport: TransportName
  fellBack: boolean
  reason?: string

  /**
   * Whether the connection was dialled for this
   */
  dialled: boolean
}

/**
 * A call on its way through the steps
 */
interface Search extends ConnectInit {
  trail: Trail

  /**
   * Looked up when the first one is to be dialled
   */
  addresses?: Promise<BulkAddress[]>
}

export class Connector {
  readonly #components: StreamOpenerComponents
  readonly #dials: AddressDials
  readonly #references: ReferenceCounts
  readonly #log: Logger

  /**
   * Connections that may be open, and have no streams to give any more
   */
  readonly #lost = new WeakSet<Connection>()

  constructor (components: StreamOpenerComponents, dials: AddressDials, references: ReferenceCounts, log: Logger) {
    this.#components = components
    this.#dials = dials
    this.#references = references
    this.#log = log
  }

  /**
   * No stream could be opened on the connection, so it is not found again
   */
  giveUp (connection: Connection): void {
    this.#lost.add(connection)
  }

  async connect (init: ConnectInit): Promise<Connected> {
    const { target: { peer }, choice, signal } = init

    signal.throwIfAborted()

    if (peer?.equals(this.#components.peerId) === true) {
      throw new DialError('Tried to dial self')
    }

    if (peer != null) {
      closeUseless(this.#components.connectionManager.getConnections(peer), this.#log)
    }

    const search: Search = { ...init, trail: new Trail(peer, choice) }

    for (const step of stepsOf(choice)) {
      const connected = await this.#take(search, step)

      if (connected != null) {
        return connected
      }
    }

    throw search.trail.toError()
  }

  async #take (search: Search, step: Step): Promise<Connected | undefined> {
    const existing = search.reuse === 'first' ? this.#findOpen(search, step) : undefined

    if (existing != null) {
      return this.#connected(search, existing, false)
    }

    const dialled = await this.#dial(search, step)

    if (dialled != null) {
      return this.#connected(search, dialled, true)
    }

    const rest = search.reuse === 'last' ? this.#findOpen(search, step) : undefined

    if (rest != null) {
      return this.#connected(search, rest, false)
    }
  }

  #connected (search: Search, connection: Connection, dialled: boolean): Connected {
    const transport = transportOf(connection)

    // the peer may have connected as it should while something else was tried
    const fellBack = !stepsOf(search.choice).some(step => !step.fallback && suits(step, transport, scopeOf(connection.remoteAddr)))
    const reason = fellBack ? `${search.trail}` : this.#whyShared(search, dialled)

    this.#references.retain(connection, search.user)

    if (reason != null) {
      this.#log('using %s to %p - %s', transport, connection.remotePeer, reason)
    }

    return { connection, transport, dialled, fellBack, reason }
  }

  #whyShared ({ reuse, trail }: Search, dialled: boolean): string | undefined {
    if (reuse === 'last' && !dialled) {
      return `No connection could be dialled just for this: ${trail.failures}`
    }
  }

  /**
   * The newest one that will do, rather not one that is closed when a session ends
   */
  #findOpen ({ target: { peer }, choice }: Search, step: Step): Connection | undefined {
    if (peer == null) {
      return
    }

    const connections = this.#components.connectionManager.getConnections(peer).filter(connection => {
      const { limits, remoteAddr, status } = connection

      return status === 'open' && !isMuxerClosed(connection) && !this.#lost.has(connection) && (limits == null || choice.runOnLimitedConnection) && suits(step, transportOf(connection), scopeOf(remoteAddr))
    })

    return connections.findLast(connection => !this.#references.has(connection)) ?? connections.at(-1)
  }

  async #dial (search: Search, step: Step): Promise<Connection | undefined> {
    const { choice, signal, target: { peer }, trail, onProgress } = search

    search.addresses ??= this.#findAddresses(search)

    const addresses = (await raceSignal(search.addresses, signal))
      .filter(({ addr, transport, scope }) => suits(step, transport, scope) && !trail.has(addr.toString()) && this.#canDial(addr))
      .slice(0, MAX_ADDRESSES)

    if (addresses.length === 0) {
      this.#addNothingToDial(trail, step)
    }

    return happyEyeballs(addresses, {
      delay: CONNECTION_ATTEMPT_DELAY,
      signal,
      start: async (address, signal) => this.#dials.dial(address, {
        peer,
        timeout: choice.dialTimeout ?? (address.scope === 'lan' || address.scope === 'loopback' ? NEAR_DIAL_TIMEOUT : FAR_DIAL_TIMEOUT),
        own: search.reuse !== 'first',
        signal,
        onProgress
      }),
      onFailure: ({ addr, transport }, err) => { trail.add({ transport, addr, error: toError(err) }) }
    })
  }

  #canDial (addr: BulkAddress['addr']): boolean {
    return this.#components.transportManager.dialTransportForMultiaddr(addr) != null
  }

  #addNothingToDial (trail: Trail, { name, scope, fallback }: Step): void {
    if (trail.isDenied || (fallback && trail.attempts.length > 0)) {
      return
    }

    const kind = name === 'any' ? 'direct' : name
    const within = scope == null ? '' : ` of scope ${scope}`

    trail.add({ transport: name, error: new NotFoundError(`no ${kind} address${within} of the peer is known`) })
  }

  async #findAddresses ({ target, trail, signal }: Search): Promise<BulkAddress[]> {
    const { connectionGater } = this.#components

    if (target.peer != null && await connectionGater.denyDialPeer?.(target.peer) === true) {
      trail.add({ transport: 'any', error: new DialDeniedError('the connection gater denies dialling the peer') })

      return []
    }

    return findAddresses(this.#components, target, this.#log, { signal })
  }
}
