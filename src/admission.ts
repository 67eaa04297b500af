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
import { EARLY, HANDSHAKE, MUXER } from './limits/limit.ts'
import { PeerLimits } from './limits/peer-limits.ts'
import type { Key, Need, Needs } from './limits/limit.ts'
import type { OpenStreamOnOptions, QueueEvent, QueueEventType } from './types.ts'
import type { KnownProtocols } from './negotiation/known-protocols.ts'
import type { Metrics } from './metrics.ts'
import type { Settings } from './options.ts'
import type { Permit } from './limits/permit.ts'
import type { Connection, Logger, PeerId } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'

interface AdmissionComponents {
  registrar: Registrar
}

interface AdmissionInit {
  known: KnownProtocols
  metrics: Metrics
  log: Logger
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

interface Applicant extends Request {
  connection: Connection

  /**
   * The protocol that needs no handshake now, which may change while the call waits
   */
  findTrusted(): string | undefined
}

interface StreamNeed extends Need {
  /**
   * Whether an application, or the handler of the protocol, has asked for it
   */
  isOwn: boolean
}

function countOutbound ({ streams }: Connection, key: Key): number {
  return streams.filter(({ direction, protocol }) => direction === 'outbound' && protocol === key).length
}

export class Admission {
  #running = false
  readonly #peers = new Map<string, PeerLimits>()
  readonly #muxerRoom = new MuxerRoom(connection => { this.find(connection.remotePeer)?.streamClosed(connection) })
  readonly #registrar: Registrar
  readonly #known: KnownProtocols
  readonly #metrics: Metrics
  readonly #log: Logger

  constructor (components: AdmissionComponents, init: AdmissionInit) {
    this.#registrar = components.registrar
    this.#known = init.known
    this.#metrics = init.metrics
    this.#log = init.log
  }

  /**
   * The number of calls that are waiting
   */
  get queued (): number {
    return [...this.#peers.values()].reduce((sum, { queued }) => sum + queued, 0)
  }

  /**
   * Undefined where nothing of the peer is in use or waited for
   */
  find (peerId: PeerId): PeerLimits | undefined {
    return this.#peers.get(peerId.toString())
  }

  /**
   * Returns a promise where the call has to wait. Whoever gets a permit has to release
   * it.
   */
  acquire (applicant: Applicant): Permit | Promise<Permit> {
    if (!this.#running) {
      throw new NotStartedError('The stream opener is not started')
    }

    const { connection, protocols, options, settings, isIntercepted, order } = applicant
    const limits = this.#limitsOf(connection)
    const streams = protocols.map(protocol => this.#streamNeed(protocol, applicant))

    // limits that somebody has set are there to be hit by who knows nothing of this
    const mayWait = settings.queue && streams.every(({ max, isOwn }) => max >= 1 && !(isIntercepted && isOwn))

    return limits.acquire({
      connection,
      // nearly nobody has to wait
      get kind () {
        return JSON.stringify([connection.id, streams, settings.negotiation, settings.resume, options.negotiateFully, isIntercepted])
      },
      priority: Number.isFinite(options.priority) ? options.priority as number : DEFAULT_PRIORITY,
      order,
      mayWait,
      timeout: isIntercepted ? Math.min(IMPATIENT_QUEUE_TIMEOUT, settings.queueTimeout) : settings.queueTimeout,
      isImpatient: isIntercepted,
      signal: options.signal,
      needs: () => this.#needsOf(applicant, streams, mayWait),
      whileQueued: async granted => this.#wait(applicant, limits, granted)
    })
  }

  #needsOf ({ connection, settings, findTrusted }: Applicant, streams: StreamNeed[], mayWait: boolean): Needs {
    const trusted = findTrusted()
    const own = streams.filter(({ key }) => trusted == null || key === trusted)

    // who may not wait is only limited as libp2p would: it counts the streams that somebody
    // else has opened as well, and those that are about to be opened will be there by then
    const limits: Need[] = mayWait ? own : own.map(({ key, max }) => ({ key, max: countOutbound(connection, key) < max ? max : 0 }))

    if (trusted == null) {
      limits.push({ key: HANDSHAKE, max: mayWait ? settings.maxNegotiationsPerPeer : Infinity, option: 'maxNegotiationsPerPeer' })
    }

    if (!mayWait) {
      return { limits, trusted }
    }

    const streamsLeft = this.#muxerRoom.streamsLeft(connection)

    if (this.#known.isSilent(connection)) {
      limits.push({ key: EARLY, max: MAX_EARLY_STREAMS })
    }

    if (streamsLeft !== Infinity) {
      limits.push({ key: MUXER, max: streamsLeft })
    }

    return { limits, trusted }
  }

  /**
   * What an application or the handler of the protocol has asked for. Which of the
   * two goes first is libp2p's choice.
   */
  #streamNeed (protocol: string, { options, settings }: Request): StreamNeed {
    const { maxOutboundStreams } = options
    const { maxStreamsPerProtocol } = settings

    // without a handler getHandler would throw, and the stack of that error costs
    // some 20us of CPU in every open
    const ofHandler = this.#registrar.getProtocols().includes(protocol) ? this.#registrar.getHandler(protocol).options.maxOutboundStreams : undefined

    if (ofHandler != null && ofHandler !== DEFAULT_MAX_OUTBOUND_STREAMS) {
      return { key: protocol, max: ofHandler, option: 'maxOutboundStreams of its handler', isOwn: true }
    }

    if (maxOutboundStreams != null) {
      return { key: protocol, max: Math.min(maxOutboundStreams, ofHandler ?? Infinity), option: 'maxOutboundStreams', isOwn: true }
    }

    // libp2p does not allow more
    if (ofHandler != null && ofHandler < maxStreamsPerProtocol) {
      return { key: protocol, max: ofHandler, option: 'maxOutboundStreams of its handler', isOwn: true }
    }

    return { key: protocol, max: maxStreamsPerProtocol, option: 'maxStreamsPerProtocol', isOwn: false }
  }

  /**
   * Resolves when the call may go on. Whoever listens may throw, make room, or put an
   * end to all of it.
   */
  async #wait ({ connection, protocols, options, settings }: Applicant, limits: PeerLimits, granted: Promise<Permit>): Promise<Permit> {
    if (limits.queued > settings.maxQueuedPerPeer) {
      throw new QueueFullError(`${settings.maxQueuedPerPeer} calls are waiting to open streams to ${connection.remotePeer.toString()} already - open fewer at a time, or raise maxQueuedPerPeer`)
    }

    const since = performance.now()
    const report = (type: QueueEventType): void => {
      this.#log.trace('%s a stream of %s to %p', type, protocols, connection.remotePeer)
      options.onProgress?.(new CustomProgressEvent<QueueEvent>(type, { connection, protocols }))
    }

    report('stream-opener:queued')
    const permit = await granted.finally(() => { this.#metrics.waited(performance.now() - since) })
    report('stream-opener:dequeued')

    return permit
  }

  closed (connection: Connection): void {
    this.find(connection.remotePeer)?.closed(connection, new ConnectionClosedError(`Connection ${connection.id} was closed while the stream waited to be opened`))
  }

  start (): void {
    this.#running = true
  }

  stop (): void {
    this.#running = false

    for (const limits of [...this.#peers.values()]) {
      limits.stop(new AbortError('The stream opener was stopped'))
    }

    this.#peers.clear()
  }

  #limitsOf ({ remotePeer }: Connection): PeerLimits {
    const key = remotePeer.toString()
    const existing = this.#peers.get(key)

    if (existing != null) {
      return existing
    }

    const limits = new PeerLimits(() => {
      // streams of a connection that was closed may come back to it later, when the
      // peer has others
      if (this.#peers.get(key) === limits) {
        this.#peers.delete(key)
      }
    })
    this.#peers.set(key, limits)

    return limits
  }
}
