import { Uint8ArrayList } from 'uint8arraylist'
import { equals } from 'uint8arrays/equals'
import { receiveBulk, sendBulk } from '../../src/index.ts'
import { replacedMethods } from '../support/streams.ts'
import { mayWait, PlayedBulkPeer } from './bulk-peer.ts'
import { PlayedSource, SourceError } from './bulk-source.ts'
import { allOver, becomes, check, settled } from './promises.ts'
import { turn } from '../support/wait.ts'
import type { BulkPeer } from './bulk-peer.ts'
import type { Source } from './bulk-source.ts'
import type { Outcome } from './promises.ts'
import type { RawListener } from './raw-listener.ts'
import type { SendBulkResult } from '../../src/index.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { Libp2p, Stream } from '@libp2p/interface'

/**
 * How long a transfer may take if both ends do what they should, in ms
 */
const LIMIT = 8_000

/**
 * How long it may wait for somebody else before its signal is aborted, and how long
 * it may take to notice, in ms
 */
const PATIENCE = 400
const ABORT_LIMIT = 1_000

export interface Transfer {
  direction: 'send' | 'receive' | 'both'
  peer: BulkPeer
  source: Source

  /**
   * The lengths of what the peer sends
   */
  answer: number[]
  highWaterMark?: number

  /**
   * After how many bytes the reader leaves
   */
  leaveAt?: number

  /**
   * When the signal aborts, in ms
   */
  abortAfter?: number
  progressThrows: boolean
}

class PlayedTransfer {
  readonly #transfer: Transfer
  readonly #stream: Stream
  readonly #peer: PlayedBulkPeer
  readonly #controller = new AbortController()

  constructor (transfer: Transfer, stream: Stream, peer: PlayedBulkPeer) {
    this.#transfer = transfer
    this.#stream = stream
    this.#peer = peer
  }

  async play (): Promise<void> {
    const { direction, abortAfter } = this.#transfer
    const jobs = [
      ...direction === 'receive' ? [] : [this.#send()],
      ...direction === 'send' ? [] : [this.#receive()]
    ]

    if (direction === 'receive') {
      this.#stream.close().catch(() => {})
    }

    const timer = abortAfter == null ? undefined : setTimeout(() => { this.#controller.abort() }, abortAfter)

    try {
      await allOver(jobs)
    } finally {
      clearTimeout(timer)
    }
  }

  get #options (): { signal: AbortSignal, highWaterMark?: number, onProgress(): void } {
    const { highWaterMark, progressThrows } = this.#transfer

    return {
      signal: this.#controller.signal,
      highWaterMark,
      onProgress: () => {
        if (progressThrows) {
          throw new SourceError('onProgress has failed')
        }
      }
    }
  }

  /**
   * It settles by itself, or if it waits for somebody else when the signal aborts
   */
  async #settled <T> (promise: Promise<T>, what: string, mayWait: boolean): Promise<Outcome<T>> {
    if (mayWait) {
      let isOver = false
      promise.catch(() => {}).finally(() => { isOver = true }).catch(() => {})

      if (!await becomes(() => isOver, PATIENCE)) {
        this.#controller.abort()
      }
    }

    return settled(promise, what, mayWait ? ABORT_LIMIT : LIMIT)
  }

  async #send (): Promise<void> {
    const { source: { is }, peer } = this.#transfer
    const source = new PlayedSource(this.#transfer.source)
    const sending = sendBulk(this.#stream, source.iterable(), this.#options)
    const outcome = await this.#settled(sending, 'sendBulk', is === 'endless' || mayWait(peer))

    if (outcome.value != null) {
      await this.#checkSent(outcome.value, source)
    } else {
      await this.#checkSendError(outcome.error, source)
    }
  }

  async #checkSent ({ bytes }: SendBulkResult, source: PlayedSource): Promise<void> {
    const { peer } = this.#transfer
    const { received } = this.#peer
    const { byteLength } = source.yielded

    check(source.isComplete, 'sendBulk resolves, and its source has not ended')
    check(bytes === byteLength, 'sendBulk resolves with another number of bytes', { bytes, yielded: byteLength })

    // nobody else ends the stream before that
    if (peer === 'good' && this.#transfer.direction === 'send') {
      check(await becomes(() => this.#peer.receivedFin, LIMIT), 'sendBulk resolves, and the peer is not told the end')
      check(equals(received.subarray(), source.yielded.subarray()), 'sendBulk resolves, and the peer got something else', { received: received.byteLength, yielded: byteLength })
    }
  }

  async #checkSendError (error: Error & { bytes?: number }, source: PlayedSource): Promise<void> {
    const { is } = this.#transfer.source
    const { status } = this.#stream

    if (error.name === 'InvalidParametersError') {
      check(is === 'junk' || is === 'without next', `sendBulk rejects with ${error.name}: ${error.message}`)
    } else {
      this.#checkName(error, 'sendBulk rejects')
      check(error.bytes != null && error.bytes >= 0 && error.bytes <= source.yielded.byteLength, 'sendBulk rejects with a wrong number of bytes', { bytes: error.bytes, yielded: source.yielded.byteLength })
    }

    check(is === 'without next' || (status !== 'open' && status !== 'closing'), `sendBulk rejects with ${error.name}, and the stream is ${status}`)

    if (['good', 'throwing', 'endless'].includes(is)) {
      check(await becomes(() => source.hasReturned || source.yielded.byteLength === 0, ABORT_LIMIT), 'sendBulk rejects, and its source is not told to stop')
    }
  }

  async #receive (): Promise<void> {
    const { peer, direction, leaveAt } = this.#transfer
    const received = new Uint8ArrayList()
    const chunks = receiveBulk(this.#stream, this.#options)
    const reading = async (): Promise<boolean> => {
      for await (const chunk of chunks) {
        received.append(chunk)

        if (leaveAt != null && received.byteLength > leaveAt) {
          return false
        }
      }

      return true
    }
    const { value: isComplete, error } = await this.#settled(reading(), 'receiveBulk', mayWait(peer) || direction === 'both')
    const context = { received: received.byteLength, sent: this.#peer.sent.byteLength, direction }

    check(equals(received.subarray(), this.#peer.sent.subarray(0, received.byteLength)), 'receiveBulk yields something else', context)

    if (isComplete === true) {
      check(this.#peer.hasSentAll && received.byteLength === this.#peer.sent.byteLength, 'receiveBulk ends before the peer has ended the stream', context)
    }

    if (error != null) {
      this.#checkName(error, 'receiveBulk throws')
      check((error as Error & { bytes?: number }).bytes === received.byteLength, 'receiveBulk throws with a wrong number of bytes', { ...context, bytes: (error as Error & { bytes?: number }).bytes })

      const { signal } = this.#controller

      check(peer !== 'good' || direction !== 'receive' || signal.aborted || error.cause instanceof SourceError, `receiveBulk fails with a good peer: ${error.message}`)
    }
  }

  #checkName (error: Error, what: string): void {
    check(error.name === 'BulkTransferError' || (this.#controller.signal.aborted && error.name === 'AbortError'), `${what} with ${error.name}: ${error.message}`)
  }
}

/**
 * One transfer on a stream of its own
 */
export async function playTransfer ({ services: { streamOpener } }: Libp2p<OpenerServices>, listener: RawListener, transfer: Transfer): Promise<void> {
  const peer = new PlayedBulkPeer()
  const protocol = listener.expect(raw => {
    peer.play(raw, protocol, transfer.peer, transfer.direction === 'send' ? [] : transfer.answer).catch(() => {})
  })
  const { value: stream, error } = await settled(streamOpener.newStreamOn(listener.connection, protocol, { negotiationTimeout: LIMIT }), 'newStreamOn', LIMIT)

  check(stream != null, `newStreamOn rejects with ${error?.name}: ${error?.message}`)

  try {
    await new PlayedTransfer(transfer, stream, peer).play()
  } finally {
    stream.abort(new Error('The case is over'))
    peer.stream?.abort(new Error('The case is over'))
  }

  await turn()
  check(replacedMethods(stream).length === 0, 'methods of a stream that is over are replaced', replacedMethods(stream))
  check(stream.listenerCount('message') + stream.listenerCount('remoteCloseWrite') === 0, 'listeners of a stream that is over are left')
}
