/**
 * Lets a call go on when its peer's limits have room for it. This is where limits
 * meet libp2p: which ones apply to a protocol, and what an application gets to
 * know about waiting.
 */
import { AbortError, ConnectionClosedError, NotStartedError } from '@libp2p/interface'
import { QueueFullError } from '@libp2p/utils'
import { CustomProgressEvent } from 'progress-events'
import { DEFAULT_MAX_OUTBOUND_STREAMS, DEFAULT_PRIORITY, IMPATIENT_QUEUE_TIMEOUT, MAX_EARLY_STREAMS } from './constants.ts'
import { MuxerRoom } from './compat/muxer-room.ts'
import { PeerLimits } from './limits/peer-limits.ts'
import type { Call, Needs, StreamLimit } from './limits/call.ts'
import type { OpenStreamOnOptions, QueueEvent, QueueEventType } from './types.ts'
import type { Metrics } from './metrics.ts'
import type { Settings } from './options.ts'
import type { Permit } from './limits/permit.ts'
import type { Connection, Logger, NewStreamOptions, PeerId } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'

export interface AdmissionComponents {
  registrar: Registrar
}

/**
 * What somebody has asked for
 */
export interface Request {
  protocols: string[]
  options: OpenStreamOnOptions
  settings: Settings

  /**
   * Whether somebody asked libp2p for it, who knows nothing of this
   */
  isIntercepted: boolean

  /**
   * The lower the earlier it was asked for
   */
  order: number
}

export interface Applicant extends Request {
  connection: Connection

  /**
   * What it needs now, which may change while it waits
   */
  needs(): Needs
}

export interface Admitted {
  permit: Permit

  /**
   * There may be no room for the call, which was not to wait. libp2p has the last
   * word: it counts when it has negotiated, and by then there may be one less.
   */
  isOverLimit: boolean
}

function closedWhileWaiting (connection: Connection): Error {
  return new ConnectionClosedError(`Connection ${connection.id} was closed while the stream waited to be opened`)
}

function stoppedWhileWaiting (): Error {
  return new AbortError('The stream opener was stopped')
}

export class Admission {
  #running = false
  readonly #peers = new Map<string, PeerLimits>()
  readonly #muxerRoom = new MuxerRoom(connection => { this.find(connection.remotePeer)?.streamClosed(connection) })
  readonly #registrar: Registrar
  readonly #settings: Settings
  readonly #log: Logger
  readonly #metrics: Metrics

  constructor (components: AdmissionComponents, settings: Settings, log: Logger, metrics: Metrics) {
    this.#registrar = components.registrar
    this.#settings = settings
    this.#log = log
    this.#metrics = metrics
  }

  /**
   * The number of calls that are waiting
   */
  get queued (): number {
    let queued = 0

    for (const limits of this.#peers.values()) {
      queued += limits.queued
    }

    return queued
  }

  /**
   * What is held for the peer, if there is anything
   */
  find (peerId: PeerId): PeerLimits | undefined {
    return this.#peers.get(peerId.toString())
  }

  /**
   * Returns undefined where the call has to wait. Whoever gets a permit has to release
   * it.
   */
  admit (applicant: Applicant): Admitted | undefined {
    if (!this.#running) {
      throw new NotStartedError('The stream opener is not started')
    }

    const { connection, protocols, settings } = applicant
    const call = this.#callOf(applicant)
    const limits = this.#limitsOf(connection)

    if (!settings.queue || protocols.some(protocol => call.streamLimit(protocol).max < 1)) {
      const isOverLimit = this.#isOverLimit(limits, call, connection)

      return { permit: limits.force(call), isOverLimit }
    }

    const permit = limits.take(call)

    if (permit != null) {
      return { permit, isOverLimit: false }
    }
  }

  #callOf ({ connection, protocols, options, settings, isIntercepted, needs }: Applicant): Call {
    const streamLimits = protocols.map(protocol => this.#streamLimit(protocol, options))

    return {
      connection,
      // nearly nobody has to wait
      get kind () {
        return JSON.stringify([protocols, streamLimits, settings.negotiation, settings.resume, options.negotiateFully, isIntercepted])
      },
      needs,
      streamLimit: protocol => streamLimits[protocols.indexOf(protocol)] as StreamLimit,
      streamsLeft: () => this.#muxerRoom.streamsLeft(connection)
    }
  }

  /**
   * Whether libp2p may refuse another stream. It counts those that somebody else has
   * opened as well, and those that are about to be opened will be there by then.
   */
  #isOverLimit (limits: PeerLimits, { needs, streamLimit }: Call, connection: Connection): boolean {
    return needs().protocols.some(protocol => {
      const { length } = connection.streams.filter(stream => stream.direction === 'outbound' && stream.protocol === protocol)

      return Math.max(length, limits.openOn(connection, protocol)) >= streamLimit(protocol).max
    })
  }

  /**
   * What an application or the handler of the protocol has asked for. Which of the
   * two goes first is libp2p's choice.
   */
  ownLimit (protocol: string, { maxOutboundStreams }: NewStreamOptions): StreamLimit | undefined {
    const registrar = this.#registrar

    // without a handler getHandler would throw, and the stack of that error costs
    // some 20us of CPU in every open
    const ofHandler = registrar.getProtocols().includes(protocol) ? registrar.getHandler(protocol).options.maxOutboundStreams : undefined

    if (ofHandler != null && ofHandler !== DEFAULT_MAX_OUTBOUND_STREAMS) {
      return { max: ofHandler, option: 'maxOutboundStreams of its handler' }
    }

    if (maxOutboundStreams != null) {
      return { max: Math.min(maxOutboundStreams, ofHandler ?? Infinity), option: 'maxOutboundStreams' }
    }

    // libp2p does not allow more
    if (ofHandler != null && ofHandler < this.#settings.maxStreamsPerProtocol) {
      return { max: ofHandler, option: 'maxOutboundStreams of its handler' }
    }
  }

  #streamLimit (protocol: string, options: NewStreamOptions): StreamLimit {
    return this.ownLimit(protocol, options) ?? { max: this.#settings.maxStreamsPerProtocol, option: 'maxStreamsPerProtocol' }
  }

  /**
   * Resolves when the call, which could not be admitted at once, may go on
   */
  async wait (applicant: Applicant): Promise<Admitted> {
    const { connection, order, isIntercepted, protocols, options, settings } = applicant
    const { queued } = this.#limitsOf(connection)

    if (queued >= this.#settings.maxQueuedPerPeer) {
      throw new QueueFullError(`${queued} calls are waiting to open streams to ${connection.remotePeer.toString()} already - open fewer at a time, or raise maxQueuedPerPeer`)
    }

    const since = performance.now()
    const report = (type: QueueEventType): void => {
      this.#log.trace('%s a stream of %s to %p', type, protocols, connection.remotePeer)
      options.onProgress?.(new CustomProgressEvent<QueueEvent>(type, { connection, protocols }))
    }

    // whoever listens may throw, make room, or put an end to all of it
    report('stream-opener:queued')

    if (!this.#running) {
      throw stoppedWhileWaiting()
    }

    if (connection.status !== 'open') {
      throw closedWhileWaiting(connection)
    }

    const permit = await this.#limitsOf(connection).wait(this.#callOf(applicant), {
      priority: Number.isFinite(options.priority) ? options.priority as number : DEFAULT_PRIORITY,
      order,
      timeout: isIntercepted ? Math.min(IMPATIENT_QUEUE_TIMEOUT, settings.queueTimeout) : settings.queueTimeout,
      impatient: isIntercepted,
      signal: options.signal
    }).finally(() => {
      this.#metrics.waited(performance.now() - since)
    })

    try {
      report('stream-opener:dequeued')
    } catch (err) {
      permit.release()

      throw err
    }

    return { permit, isOverLimit: false }
  }

  /**
   * Something has become known about the peer of the connection
   */
  reconsider (connection: Connection): void {
    this.find(connection.remotePeer)?.reconsider(connection)
  }

  closed (connection: Connection): void {
    this.find(connection.remotePeer)?.closed(connection, closedWhileWaiting(connection))
  }

  start (): void {
    this.#running = true
  }

  stop (): void {
    this.#running = false

    for (const limits of [...this.#peers.values()]) {
      limits.stop(stoppedWhileWaiting())
    }

    this.#peers.clear()
  }

  #limitsOf ({ remotePeer }: Connection): PeerLimits {
    const key = remotePeer.toString()
    const existing = this.#peers.get(key)

    if (existing != null) {
      return existing
    }

    const limits = new PeerLimits({
      maxNegotiations: this.#settings.maxNegotiationsPerPeer,
      maxEarlyStreams: MAX_EARLY_STREAMS,
      onUnused: () => {
        // streams of a connection that was closed may come back to it later, when
        // the peer has others
        if (this.#peers.get(key) === limits) {
          this.#peers.delete(key)
        }
      }
    })
    this.#peers.set(key, limits)

    return limits
  }
}
