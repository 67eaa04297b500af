/**
 * libp2p's own multistream-select of one of several protocols on a stream, where one of
 * them is taken to be spoken: the others are refused in the place of the listener, which
 * is not asked. It is asked when libp2p uses what it has selected, see
 * optimistic-negotiation.ts
 */
import { Uint8ArrayList } from 'uint8arraylist'
import { hookMessages } from '../compat/muxed-stream.ts'
import { MULTISTREAM_PROTOCOL_ID } from '../constants.ts'
import { encode, NOT_AVAILABLE, takeMessage } from './multistream-select.ts'
import { OptimisticNegotiation } from './optimistic-negotiation.ts'
import type { HookableStream, HookedMessages } from '../compat/muxed-stream.ts'
import type { OptimisticNegotiationInit } from './optimistic-negotiation.ts'

export class Selection {
  #isOver = false
  #negotiation?: OptimisticNegotiation
  readonly #sent = new Uint8ArrayList()
  readonly #stream: HookableStream
  readonly #init: OptimisticNegotiationInit
  readonly #hooked: HookedMessages

  constructor (stream: HookableStream, init: OptimisticNegotiationInit) {
    this.#stream = stream
    this.#init = init
    this.#hooked = hookMessages(stream, {
      send: data => this.#send(data),
      received: data => {
        this.leave()
        this.#hooked.received(data)
      }
    })

    stream.addEventListener('close', this.leave)

    // it may have spoken already
    if (stream.readBufferLength > 0) {
      this.leave()
    }
  }

  /**
   * Whether the listener has been asked for the protocol, and has not confirmed it
   */
  get isUnconfirmed (): boolean {
    return this.#negotiation?.isUnconfirmed === true
  }

  /**
   * Leave it to libp2p, unless that has selected the protocol. A listener that speaks
   * first, as go-libp2p does, has not been asked for anything.
   */
  readonly leave = (): void => {
    if (!this.#isOver) {
      this.#end()
      this.#init.onDone()
    }
  }

  #send (data: Uint8Array | Uint8ArrayList): boolean {
    if (this.#isOver) {
      return this.#hooked.send(data)
    }

    this.#sent.append(data)

    for (let message = takeMessage(this.#sent); message != null; message = takeMessage(this.#sent)) {
      this.#answer(message)
    }

    return true
  }

  /**
   * As a listener that speaks the protocol, and none of those before it
   */
  #answer (message: string): void {
    const isSelected = message === this.#init.protocol

    if (isSelected) {
      this.#end()
      this.#negotiation = new OptimisticNegotiation(this.#stream, this.#init)
    }

    this.#hooked.received(encode(isSelected || message === MULTISTREAM_PROTOCOL_ID ? message : NOT_AVAILABLE))
  }

  #end (): void {
    this.#isOver = true
    this.#stream.removeEventListener('close', this.leave)
    this.#hooked.restore()
  }
}
