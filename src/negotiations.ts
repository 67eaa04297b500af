/**
 * The optimistic negotiations of one node that are under way
 */
import { AbortError, ConnectionClosedError, UnsupportedProtocolError } from '@libp2p/interface'
import { raceSignal } from 'race-signal'
import { LISTENER_GUARD_PROTOCOL, NEGOTIATION_TIMEOUT } from './constants.ts'
import { Deadlines } from './deadlines.ts'
import { HeldFins } from './held-fin.ts'
import { probeListener } from './listener-probe.ts'
import { deliversInOrder, getMuxer, isMuxedStream, UnsuitedMuxerError } from './muxer-access.ts'
import { untilNextTurn } from './next-turn.ts'
import { OptimisticNegotiation } from './optimistic-negotiation.ts'
import type { KnownProtocols } from './known-protocols.ts'
import type { Metrics } from './metrics.ts'
import type { Settings } from './options.ts'
import type { Connection, Logger, NewStreamOptions, Stream, StreamCloseEvent, StreamMuxer } from '@libp2p/interface'

/**
 * What a stream is to be opened on, and how
 */
export interface Opening {
  connection: Connection
  muxer: StreamMuxer
  options: NewStreamOptions
  settings: Settings
}

interface Expectation {
  /**
   * Whether the peer is taken to speak the protocol, so that the stream is in use
   */
  isTrusted(): boolean

  onConfirmed?(): void
}

export class Negotiations {
  readonly #deadlines = new Deadlines()
  readonly #running = new Set<OptimisticNegotiation>()
  readonly #heldFins = new WeakMap<StreamMuxer, HeldFins>()
  readonly #known: KnownProtocols
  readonly #log: Logger
  readonly #metrics: Metrics

  constructor (known: KnownProtocols, log: Logger, metrics: Metrics) {
    this.#known = known
    this.#log = log
    this.#metrics = metrics
  }

  stop (): void {
    for (const negotiation of [...this.#running]) {
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
   * than a full negotiation would, nor later than identify.
   *
   * Rejects with an UnsupportedProtocolError if the peer does not speak it, or if
   * identify names one of the others instead.
   */
  async confirm (opening: Opening, stream: Stream, others: string[]): Promise<void> {
    const { connection, options } = opening
    const { promise, resolve, reject } = Promise.withResolvers<'identified' | 'confirmed'>()
    let trusted = false

    // it is not awaited if the handshake can not be sent
    promise.catch(() => {})

    const onClose = (evt: StreamCloseEvent): void => {
      reject(evt.error ?? new ConnectionClosedError('The stream was closed'))
    }
    stream.addEventListener('close', onClose)

    const onIdentified = (): void => {
      const protocol = this.#known.find(connection, [stream.protocol, ...others])

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
        isTrusted: () => trusted,
        onConfirmed: () => { resolve('confirmed') }
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
  answered (connection: Connection, sentAt: number): void {
    const muxer = getMuxer(connection)

    if (muxer != null) {
      this.#heldFins.get(muxer)?.answered(sentAt)
    }
  }

  #start ({ connection, muxer, settings }: Opening, stream: Stream, { isTrusted, onConfirmed }: Expectation): OptimisticNegotiation {
    const { protocol } = stream

    if (!isMuxedStream(stream)) {
      throw new UnsuitedMuxerError(`Streams of ${muxer.protocol} can not carry a handshake`)
    }

    // where the peer does not lose the end of a stream there is no reason to wait
    const halfClose = settings.halfClose ?? (this.#known.has(connection, LISTENER_GUARD_PROTOCOL) ? 'immediate' : 'confirmed')

    const negotiation = new OptimisticNegotiation(stream, {
      protocol,
      timeout: settings.negotiationTimeout ?? NEGOTIATION_TIMEOUT,
      deadlines: this.#deadlines,
      holdFin: halfClose === 'immediate'
        ? undefined
        : {
            heldFins: this.#getHeldFins(muxer),
            afterEcho: async () => this.#letHandlerStart(connection, protocol),
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
          this.#known.answered(connection)
        }

        if (isTrusted()) {
          this.#log.error('%p did not confirm %s, which it was taken to speak - %e', connection.remotePeer, protocol, err)
          this.#known.refused(connection, protocol, err)
        }
      },
      onDone: () => {
        this.#running.delete(negotiation)
      }
    })

    this.#running.add(negotiation)

    return negotiation
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
   * Not every muxer has to hold them back
   */
  #getHeldFins (muxer: StreamMuxer): HeldFins | undefined {
    let heldFins = this.#heldFins.get(muxer)

    if (heldFins == null && !deliversInOrder(muxer)) {
      heldFins = new HeldFins(async () => probeListener(muxer))
      this.#heldFins.set(muxer, heldFins)
    }

    return heldFins
  }
}
