/**
 * What upstream does: a muxer hands what it receives to its streams, and a stream tells
 * its muxer what to send, through methods that @libp2p/interface does not name:
 * `onData`, `onRemoteCloseWrite`, `onTransportClosed`, `processSendQueue`,
 * `sendCloseRead` and `sendCloseWrite`. Streams of yamux, mplex, QUIC, WebRTC and WebTransport inherit them
 * from @libp2p/utils 7 (src/abstract-stream.ts), connections and what encrypters make of
 * them all but the last two (src/abstract-message-stream.ts). No public method lets a
 * program add a handshake to a stream that is in use, and take the answer out.
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/utils/src/abstract-stream.ts,
 * test/interop/upstream/js-libp2p-hidden.md
 *
 * How it is detected: all of the methods are there.
 *
 * Without it: libp2p negotiates the streams of that muxer, or on that connection, which
 * costs the round trip.
 *
 * Until: libp2p negotiates lazily itself (https://github.com/libp2p/specs/issues/643), or
 * muxers take a handshake for `createStream`.
 */
import { override, retire } from '../util/override.ts'
import type { AbortOptions, MessageStream, MultiaddrConnection, Stream } from '@libp2p/interface'
import type { AbstractStream } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'

type ReceivingMethods = Pick<AbstractStream, 'onData' | 'onRemoteCloseWrite' | 'onTransportClosed'>

/**
 * Sends what the muxer could not take at once
 */
type SendQueue = { processSendQueue(): boolean }

type HalfCloseMethods = Pick<AbstractStream, 'sendCloseRead' | 'sendCloseWrite'>

/**
 * A connection, what an encrypter makes of one, or a stream of a muxer
 */
export type HookableStream = MessageStream & Pick<Stream, 'writeStatus'> & ReceivingMethods & SendQueue & Partial<HalfCloseMethods>

export type HookableConnection = MultiaddrConnection & HookableStream

export type MuxedStream = Stream & ReceivingMethods & SendQueue & HalfCloseMethods

const METHODS: Array<keyof (ReceivingMethods & SendQueue)> = ['onData', 'onRemoteCloseWrite', 'onTransportClosed', 'processSendQueue']
const HALF_CLOSE: Array<keyof HalfCloseMethods> = ['sendCloseRead', 'sendCloseWrite']

/**
 * The streams of a muxer cannot carry the handshake
 */
export class UnsuitedMuxerError extends Error {
  override name = 'UnsuitedMuxerError'
}

/**
 * Whether the stream itself can carry the handshake
 */
export function isMuxedStream (stream: Stream): stream is MuxedStream {
  return isHookable(stream) && HALF_CLOSE.every(method => typeof stream[method] === 'function')
}

/**
 * The same for any message stream, of which only a half of it can be closed where it is
 * a stream of a muxer
 */
export function isHookable (stream: MessageStream): stream is HookableStream {
  return METHODS.every(method => typeof (stream as Partial<HookableStream>)[method] === 'function')
}

/**
 * What happens on a stream, and what it is asked for
 */
export interface StreamHooks {
  send(data: Uint8Array | Uint8ArrayList): boolean
  close(options?: AbortOptions): Promise<void>

  /**
   * The peer has sent something
   */
  received(data: Uint8Array | Uint8ArrayList): void

  /**
   * The peer has sent its FIN
   */
  receivedFin(): void

  /**
   * There is no connection any more
   */
  lost(err?: Error): void

  /**
   * Tell the peer that nobody reads, where that is possible
   */
  stopReading(options?: AbortOptions): Promise<void>

  /**
   * Send the FIN, which may go its own way
   */
  endWriting?(options?: AbortOptions): Promise<void>
}

/**
 * Puts the hooks on one stream. Its own methods do what the stream did before.
 *
 * It is what `override` does, but each by its name: V8 does not optimise a loop over
 * names, and that was the most expensive part of an open.
 */
export class HookedStream implements Required<StreamHooks> {
  readonly #stream: HookableStream
  readonly #hooks: StreamHooks
  readonly #send: HookableStream['send']
  readonly #close: HookableStream['close']
  readonly #onData: HookableStream['onData']
  readonly #onRemoteCloseWrite: HookableStream['onRemoteCloseWrite']
  readonly #onTransportClosed: HookableStream['onTransportClosed']
  readonly #sendCloseRead: HookableStream['sendCloseRead']
  readonly #sendCloseWrite: HookableStream['sendCloseWrite']

  constructor (stream: HookableStream, hooks: StreamHooks) {
    this.#stream = stream
    this.#hooks = hooks
    this.#send = stream.send
    this.#close = stream.close
    this.#onData = stream.onData
    this.#onRemoteCloseWrite = stream.onRemoteCloseWrite
    this.#onTransportClosed = stream.onTransportClosed
    this.#sendCloseRead = stream.sendCloseRead
    this.#sendCloseWrite = stream.sendCloseWrite

    stream.send = hooks.send
    stream.close = hooks.close
    stream.onData = hooks.received
    stream.onRemoteCloseWrite = hooks.receivedFin
    stream.onTransportClosed = hooks.lost

    if (this.#sendCloseRead != null) {
      stream.sendCloseRead = hooks.stopReading
    }

    if (hooks.endWriting != null) {
      stream.sendCloseWrite = hooks.endWriting
    }
  }

  send (data: Uint8Array | Uint8ArrayList): boolean {
    return this.#send.call(this.#stream, data)
  }

  async close (options?: AbortOptions): Promise<void> {
    return this.#close.call(this.#stream, options)
  }

  received (data: Uint8Array | Uint8ArrayList): void {
    this.#onData.call(this.#stream, data)
  }

  receivedFin (): void {
    this.#onRemoteCloseWrite.call(this.#stream)
  }

  lost (err?: Error): void {
    this.#onTransportClosed.call(this.#stream, err)
  }

  async stopReading (options?: AbortOptions): Promise<void> {
    return this.#sendCloseRead?.call(this.#stream, options)
  }

  async endWriting (options?: AbortOptions): Promise<void> {
    return this.#sendCloseWrite?.call(this.#stream, options)
  }

  /**
   * Put back what was there - apart from what somebody else has replaced since: that
   * still calls these hooks, which have to pass it on
   */
  restore (): void {
    const stream = this.#stream
    const hooks = this.#hooks

    stream.send = retire(stream.send, hooks.send, this.#send)
    stream.close = retire(stream.close, hooks.close, this.#close)
    stream.onData = retire(stream.onData, hooks.received, this.#onData)
    stream.onRemoteCloseWrite = retire(stream.onRemoteCloseWrite, hooks.receivedFin, this.#onRemoteCloseWrite)
    stream.onTransportClosed = retire(stream.onTransportClosed, hooks.lost, this.#onTransportClosed)

    if (stream.sendCloseRead != null && this.#sendCloseRead != null) {
      stream.sendCloseRead = retire(stream.sendCloseRead, hooks.stopReading, this.#sendCloseRead)
    }

    if (hooks.endWriting != null && stream.sendCloseWrite != null && this.#sendCloseWrite != null) {
      stream.sendCloseWrite = retire(stream.sendCloseWrite, hooks.endWriting, this.#sendCloseWrite)
    }
  }
}

export type HookedMessages = Pick<HookedStream, 'send' | 'received' | 'restore'>

/**
 * Puts hooks on what is sent and received alone
 */
export function hookMessages (stream: HookableStream, { send, received }: Pick<StreamHooks, 'send' | 'received'>): HookedMessages {
  const { original, restore } = override<Pick<HookableStream, 'send' | 'onData'>>(stream, { send, onData: received })

  return {
    send: data => original.send.call(stream, data),
    received: data => { original.onData.call(stream, data) },
    restore
  }
}
