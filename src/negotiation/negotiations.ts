/**
 * The optimistic negotiations of one node that are under way
 */
import { AbortError, ConnectionClosedError, UnsupportedProtocolError } from '@libp2p/interface'
import { raceSignal } from 'race-signal'
import { LISTENER_GUARD_PROTOCOL } from '../constants.ts'
import { Deadlines } from '../util/deadlines.ts'
import { HeldFins } from '../compat/held-fins.ts'
import { LateListeners } from '../compat/late-listeners.ts'
import { probeListener } from './listener-probe.ts'
import { isMuxedStream, UnsuitedMuxerError } from '../compat/muxed-stream.ts'
import { getMuxer } from '../compat/muxer-access.ts'
import { watchLoss, watchLosses } from '../compat/silent-losses.ts'
import { untilNextTurn } from '../util/next-turn.ts'
import { OptimisticNegotiation } from './optimistic-negotiation.ts'
import { optionFor } from '../options.ts'
import { toError } from '../util/to-error.ts'
import type { EarlyWrites } from '../types.ts'
import type { KnownProtocols } from './known-protocols.ts'
import type { Metrics } from '../metrics.ts'
import type { Settings } from '../options.ts'
import type { Connection, Logger, NewStreamOptions, Stream, StreamCloseEvent, StreamMuxer, Upgrader } from '@libp2p/interface'

export interface NegotiationsComponents {
  upgrader: Upgrader
}

/**
 * What a stream is to be opened on, and how
 */
export interface Opening {
  connection: Connection
  muxer: StreamMuxer
  options: NewStreamOptions
  settings: Settings

  /**
   * Whether it was opened by somebody who knows nothing of this
   */
  isIntercepted: boolean
}

interface Expectation {
  /**
   * Whether the stream is not handed out before the echo is on its way
   */
  isEarly?: boolean

  /**
   * Whether the peer is taken to speak the protocol, so that the stream is in use
   */
  isTrusted(): boolean

  onConfirmed?(): void
}

export class Negotiations {
  readonly #deadlines = new Deadlines()
  readonly #running = new Map<OptimisticNegotiation, { connection: Connection, isTrusted(): boolean }>()
  readonly #heldFins = new WeakMap<StreamMuxer, HeldFins>()
  readonly #components: NegotiationsComponents
  readonly #known: KnownProtocols
  readonly #log: Logger
  readonly #metrics: Metrics

  constructor (components: NegotiationsComponents, known: KnownProtocols, log: Logger, metrics: Metrics) {
    this.#components = components
    this.#known = known
    this.#log = log
    this.#metrics = metrics
  }

  stop (): void {
    for (const negotiation of [...this.#running.keys()]) {
      negotiation.stop(new AbortError('The stream opener was stopped'))
    }

    this.#deadlines.stop()
  }

  /**
   * The peer is taken to speak the protocol of the stream: the handshake leaves
   * with the first write, and nobody waits for the echo
   */
  trust (opening: Opening, stream: Stream): void {
    this.#start(opening, stream, { isTrusted: () => true })
  }

  /**
   * Identify may still be on its way: send the handshake at once, and resolve as
   * soon as identify names the protocol or the peer confirms it - so neither later
   * than a full negotiation would, nor later than identify. As the echo is as far by
   * then as that of a full negotiation, nothing is gained where the end of the stream
   * has to wait for it: there everything does.
   *
   * Rejects with an UnsupportedProtocolError if the peer does not speak it, or if
   * identify names one of the others instead.
   */
  async confirm (opening: Opening, stream: Stream, others: string[]): Promise<void> {
    const { connection, options } = opening
    const { promise, resolve, reject } = Promise.withResolvers<'identified' | 'confirmed'>()
    let trusted = false

    // it is not awaited if the handshake cannot be sent
    promise.catch(() => {})

    const onClose = (evt: StreamCloseEvent): void => {
      reject(toError(evt))
    }
    stream.addEventListener('close', onClose)

    const onIdentified = (): void => {
      const protocol = this.#known.firstChoice(connection, [stream.protocol, ...others])

      if (protocol === stream.protocol) {
        trusted = true
        resolve('identified')
      } else if (protocol != null) {
        reject(new UnsupportedProtocolError(`The peer speaks ${protocol}`))
      }
    }
    const forgetListener = this.#known.onIdentified(connection, onIdentified)

    try {
      this.#start(opening, stream, {
        isEarly: true,
        isTrusted: () => trusted,
        onConfirmed: () => {
          trusted = true
          resolve('confirmed')
        }
      }).flush()

      // it may have arrived while the stream was created
      onIdentified()

      if (await raceSignal(promise, options.signal) === 'confirmed') {
        await this.#letHandlerStart(connection, stream.protocol)
      }
    } finally {
      forgetListener()
      stream.removeEventListener('close', onClose)
    }
  }

  /**
   * The peer has answered a handshake that was sent at this time
   */
  echoed (connection: Connection, sentAt: number): void {
    const muxer = getMuxer(connection)

    if (muxer != null) {
      this.#heldFins.get(muxer)?.echoed(sentAt)
    }
  }

  /**
   * Something has become known about the peer of the connection
   */
  reconsider (connection: Connection): void {
    for (const [negotiation, running] of this.#running) {
      if (running.connection === connection) {
        negotiation.reconsider()
      }
    }
  }

  /**
   * If there are streams of the connection that the listener may not have come to yet:
   * resolves when it has
   */
  untilSent (connection: Connection): Promise<void> | undefined {
    const sending: Array<Promise<void>> = []

    for (const [negotiation, running] of this.#running) {
      // whoever has not got the stream yet is told that the connection is gone
      const sent = running.connection === connection && running.isTrusted() ? negotiation.untilSent() : undefined

      if (sent != null) {
        sending.push(sent)
      }
    }

    if (sending.length > 0) {
      return Promise.all(sending).then(async () => this.#untilHandlersRun(connection))
    }
  }

  #start (opening: Opening, stream: Stream, { isEarly = false, isTrusted, onConfirmed }: Expectation): OptimisticNegotiation {
    const { connection, muxer, options: { signal }, settings } = opening
    const { protocol } = stream

    if (!isMuxedStream(stream)) {
      throw new UnsuitedMuxerError(`Streams of ${muxer.protocol} cannot carry a handshake`)
    }

    if (stream.status !== 'open') {
      throw new ConnectionClosedError(`Connection ${connection.id} was closed while a stream of ${protocol} was created on it`)
    }

    const heldFins = this.#getHeldFins(connection, muxer)
    const seesEnd = this.#seesEnd(opening, protocol)
    // nothing is gained by what leaves before the end can
    const waits = heldFins != null && (isEarly || (heldFins.waitsForEnd(protocol) && !seesEnd()))

    const lateListeners = new LateListeners(stream)

    watchLosses(muxer)
    watchLoss(stream)

    const negotiation = new OptimisticNegotiation(stream, {
      protocol,
      timeout: settings.negotiationTimeout,
      signal,
      deadlines: this.#deadlines,
      held: {
        earlyWrites: waits ? 'none' : this.#earlyWrites(opening, protocol),
        heldFins,
        seesEnd,
        afterEcho: async () => {
          await this.#letHandlerStart(connection, protocol)

          if (heldFins != null && !waits) {
            // the handler waits for the write of the echo to return, and the second write
            // of a stock dialer for that of the first
            await untilNextTurn()
          }
        },
        muxer
      },
      onConfirmed: () => {
        if (isTrusted() && !this.#known.has(connection, protocol)) {
          void this.#known.store(connection.remotePeer, protocol)
        }

        this.#known.confirmed(connection, protocol)
        onConfirmed?.()
      },
      onRefused: err => {
        this.#metrics.failed(err)

        if (err.name === 'UnsupportedProtocolError') {
          this.#known.heard(connection)
        }

        if (isTrusted()) {
          this.#log.error('%p did not confirm %s, which it was taken to speak - %e', connection.remotePeer, protocol, err)
          this.#known.refused(connection, protocol, err)
        }
      },
      onUnconfirmed: () => { lateListeners.refused() },
      onClose: evt => { lateListeners.closed(evt) },
      onDone: () => {
        this.#running.delete(negotiation)
      }
    })

    this.#running.set(negotiation, { connection, isTrusted })

    return negotiation
  }

  /**
   * Where the peer does not lose the end of a stream there is no reason to wait. It may
   * yet say so.
   */
  #seesEnd ({ connection, settings }: Opening, protocol: string): () => boolean {
    const halfClose = optionFor(settings, 'halfClose', protocol)

    return halfClose == null ? () => this.#known.has(connection, LISTENER_GUARD_PROTOCOL) : () => halfClose === 'immediate'
  }

  #earlyWrites ({ settings, isIntercepted }: Opening, protocol: string): EarlyWrites {
    return optionFor(settings, 'earlyWrites', protocol) ?? (isIntercepted ? 'first' : 'all')
  }

  /**
   * Does after the echo what libp2p does at both ends, so that it is over at this
   * end when it is over at the other, and the handler runs. The peers of an
   * in-process transport share the event loop, so there it is a matter of turns.
   */
  async #letHandlerStart (connection: Connection, protocol: string): Promise<void> {
    await this.#known.store(connection.remotePeer, protocol)
    await untilNextTurn()
  }

  /**
   * The echoes of all streams have come
   */
  async #untilHandlersRun (connection: Connection): Promise<void> {
    const muxer = getMuxer(connection)

    if (muxer != null && this.#overtakes(connection)) {
      // what closes the connection overtakes them - one that is lost need not wait, and
      // whoever waits may have gone
      await probeListener(muxer).catch(() => {})
    } else {
      await untilNextTurn()
    }
  }

  /**
   * Whether streams of the connection overtake each other. Those of a muxer that runs
   * on one stream of bytes, as those that a node is configured with do, do not.
   */
  #overtakes ({ multiplexer }: Connection): boolean {
    return multiplexer == null || !this.#components.upgrader.getStreamMuxers().has(multiplexer)
  }

  /**
   * Not every muxer has to hold them back
   */
  #getHeldFins (connection: Connection, muxer: StreamMuxer): HeldFins | undefined {
    let heldFins = this.#heldFins.get(muxer)

    if (heldFins == null && this.#overtakes(connection)) {
      heldFins = new HeldFins(async () => probeListener(muxer))
      this.#heldFins.set(muxer, heldFins)
    }

    return heldFins
  }
}
