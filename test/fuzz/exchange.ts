import { equals } from 'uint8arrays/equals'
import { replacedMethods } from '../support/streams.ts'
import { checkName, HANDSHAKE_ERRORS } from './errors.ts'
import { PlayedPeer } from './peer.ts'
import { becomes, check, settled } from './promises.ts'
import { encodeBoth, endOfEcho } from './reference.ts'
import { PlayedUser, STATE_ERRORS } from './user.ts'
import { wireOf } from './wire.ts'
import { turn } from '../support/wait.ts'
import type { Peer } from './peer.ts'
import type { RawListener } from './raw-listener.ts'
import type { User } from './user.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { Libp2p, Stream } from '@libp2p/interface'

/**
 * In ms. What a peer sends in half of it is in time, whatever the machine is doing.
 */
const NEGOTIATION_TIMEOUT = 300

/**
 * How long anything may take that does not wait for the peer, in ms
 */
const LIMIT = 4_000

export interface Exchange {
  user: User
  peer: Peer
}

class PlayedExchange {
  isClosed = false
  closedWith?: Error
  readonly #exchange: Exchange
  readonly #stream: Stream
  readonly #openedAt = performance.now()
  readonly #user: PlayedUser
  readonly #peer: PlayedPeer

  /**
   * What the peer sends behind the echo, if that is right
   */
  readonly #answer?: Uint8Array

  constructor (exchange: Exchange, stream: Stream, peer: PlayedPeer, answer?: Uint8Array) {
    this.#exchange = exchange
    this.#stream = stream
    this.#peer = peer
    this.#answer = answer
    this.#user = new PlayedUser(stream, exchange.user, NEGOTIATION_TIMEOUT + LIMIT)
    this.isClosed = stream.status !== 'open'
    stream.addEventListener('close', ({ error }) => {
      this.isClosed = true
      this.closedWith = error
    })
  }

  async play (): Promise<void> {
    await this.#user.play()
    await becomes(() => this.isClosed || this.#isComplete, this.#answer == null || this.#readsAll ? NEGOTIATION_TIMEOUT + LIMIT : NEGOTIATION_TIMEOUT)
    await turn()

    if (this.#answer == null) {
      this.#checkRefused()
    } else {
      this.#checkRead(this.#answer)
      this.#checkError()
      await this.#checkWritten()
    }

    for (const { error } of await Promise.all(this.#user.closes)) {
      if (error != null) {
        checkName(error, 'close() rejects', [...HANDSHAKE_ERRORS, ...STATE_ERRORS])
      }
    }
  }

  /**
   * Whether nothing more is going to happen to an open stream
   */
  get #isComplete (): boolean {
    const { reader, hasClosedRead } = this.#user

    if (this.#answer == null || !this.#peer.hasSentAll || reader == null) {
      return false
    }

    return hasClosedRead || (reader.read.byteLength >= this.#answer.length && (reader.isOver || this.#exchange.peer.ends !== 'fin' || !this.#readsAll))
  }

  /**
   * Whether the user gets all that there is, and the end: for those who pause, or
   * come late, that is so with libp2p's own streams only as long as they listen to
   * events.
   */
  get #readsAll (): boolean {
    const { readsFromTheStart, hasPaused, hasAborted, hasClosedRead } = this.#user

    return readsFromTheStart && !hasPaused && !hasAborted && !hasClosedRead
  }

  #checkRefused (): void {
    const { reader, hasAborted } = this.#user

    check(reader?.read.byteLength === 0, `${reader?.read.byteLength} bytes of a wrong echo were read`)
    check(this.isClosed, 'the echo is wrong, and the stream is not closed')

    if (hasAborted) {
      return
    }

    check(this.#peer.stream != null, 'the handshake has not arrived')
    check(this.closedWith instanceof Error, 'the echo is wrong, and the stream is closed without an error')
    checkName(this.closedWith, 'the stream is closed', HANDSHAKE_ERRORS)

    if (this.#readsAll) {
      check(!reader.hasEnded, 'the echo is wrong, and the reader is told the end')
      check(reader.error instanceof Error, 'the echo is wrong, and the reader gets no error')
    }
  }

  #checkRead (answer: Uint8Array): void {
    const { reader } = this.#user
    const read = reader?.read.subarray() ?? new Uint8Array(0)
    const context = { read: read.length, sent: answer.length, error: this.closedWith?.name, status: this.#stream.status }

    check(equals(read, answer.subarray(0, read.length)), 'the reader got something else', context)

    if (this.#readsAll && this.#peer.hasSentAll && this.#exchange.peer.ends !== 'reset' && !this.#isLate) {
      check(read.length === answer.length, 'the reader did not get everything', context)
      check(this.#exchange.peer.ends !== 'fin' || reader?.hasEnded === true, 'the reader is not told the end', context)
    }
  }

  /**
   * Whether the peer took its time, or the machine
   */
  get #isLate (): boolean {
    return this.closedWith?.name === 'TimeoutError' && this.#peer.echoedAt - this.#openedAt > NEGOTIATION_TIMEOUT / 2
  }

  #checkError (): void {
    if (this.closedWith == null || this.#user.hasAborted) {
      return
    }

    check(this.#peer.stream != null, 'the handshake has not arrived')

    if (this.#isLate) {
      return
    }

    checkName(this.closedWith, 'the stream is closed', HANDSHAKE_ERRORS)
    check(this.#exchange.peer.ends === 'reset', `the echo is right, and the stream is closed with ${this.closedWith.name}: ${this.closedWith.message}`)
  }

  async #checkWritten (): Promise<void> {
    const { hasClosed, hasAborted, closes, sent } = this.#user

    if (!hasClosed || hasAborted || this.closedWith != null || this.#exchange.peer.ends === 'reset') {
      return
    }

    // as with libp2p's own streams, whoever gives up before all is written has no end
    if ((await Promise.all(closes)).some(({ error }) => error != null)) {
      return
    }

    const context = { received: this.#peer.received.byteLength, sent: sent.byteLength, status: this.#peer.stream?.status }

    check(await becomes(() => this.#peer.receivedFin, LIMIT), 'the peer is not told the end', context)
    check(equals(this.#peer.received.subarray(), sent.subarray()), 'the peer got something else', context)
  }
}

/**
 * One user opens one stream, and one peer answers
 */
export async function playExchange ({ services: { streamOpener } }: Libp2p<OpenerServices>, listener: RawListener, exchange: Exchange): Promise<void> {
  const peer = new PlayedPeer()
  const protocol = listener.expect(raw => { peer.play(raw, wire, end, exchange.peer).catch(() => {}) })
  const wire = wireOf(exchange.peer.echo, protocol, exchange.peer.data)
  const end = endOfEcho(wire, protocol)
  const { value: stream, error } = await settled(streamOpener.newStreamOn(listener.connection, protocol, {
    negotiationTimeout: NEGOTIATION_TIMEOUT,
    halfClose: exchange.user.halfClose
  }), 'newStreamOn', LIMIT)

  check(stream != null, `newStreamOn rejects with ${error?.name}: ${error?.message}`)

  try {
    await new PlayedExchange(exchange, stream, peer, end == null ? undefined : wire.subarray(end)).play()
    check(peer.handshake == null || equals(peer.handshake.subarray(0, encodeBoth(protocol).length), encodeBoth(protocol)), 'the handshake on the wire is another one')
  } finally {
    stream.abort(new Error('The case is over'))
    peer.stream?.abort(new Error('The case is over'))
  }

  await turn()
  check(replacedMethods(stream).length === 0, 'methods of a stream that is over are replaced', replacedMethods(stream))
}
