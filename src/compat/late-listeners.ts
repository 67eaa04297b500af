/**
 * What upstream does: a stream announces its end, and that it is closed, when that
 * happens, and never again (@libp2p/utils 7, src/abstract-message-stream.ts). Who listens
 * later, `for await` among them, waits for ever, or mistakes a reset for a clean end, as
 * byteStream() does.
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/utils/src/abstract-message-stream.ts,
 * test/interop/upstream/js-libp2p-lost-fin.md
 *
 * How it is detected: `maybeDispatchEnd`, which not all versions have, says that a stream
 * has come to its end once there is nothing left to read. The rest is public.
 *
 * Without it: where the handshake and the first data travel together, what the other end
 * does comes a round trip earlier than programs that were written for libp2p expect, and
 * those that begin to read then hang.
 *
 * Until: `for await`, and whoever listens for `remoteCloseWrite`, `end` or `close`, is told
 * what has happened before.
 *
 * Whoever comes late is told once, after the data. The state of the stream is as ever,
 * apart from a turn of the event loop in which one that has failed does not seem to have
 * come to its end, as byteStream() does not look for errors then.
 */
import { StreamCloseEvent } from '@libp2p/interface'
import { nextTurn } from '../util/next-turn.ts'
import { override } from '../util/override.ts'
import type { Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

export type EndingStream = Stream & { maybeDispatchEnd?(): void }

interface Ending {
  remoteWriteStatus: Stream['remoteWriteStatus']
  onRemoteCloseWrite?(): void
}

type AddEventListener = (type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions) => void

export class LateListeners {
  #closed?: StreamCloseEvent
  readonly #stream: EndingStream
  readonly #addEventListener: AddEventListener

  /**
   * This stays as long as the stream: whoever is late may be later than its end
   */
  constructor (stream: EndingStream) {
    this.#stream = stream
    this.#addEventListener = stream.addEventListener as AddEventListener

    stream.addEventListener = (type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void => {
      this.#addEventListener.call(stream, type, listener, options)

      if (listener != null && (this.#closed != null || stream.remoteWriteStatus === 'closed')) {
        this.#onLate(type, listener, options)
      }
    }
  }

  /**
   * The stream has been closed, and those who listened know
   */
  closed (evt: StreamCloseEvent): void {
    const { error } = this.#closed = evt

    if (error != null) {
      this.#stream[Symbol.asyncIterator] = this.#iterateThenThrow(error)
    }
  }

  /**
   * The stream has failed before it was confirmed. With stock there would be none, so who
   * listens for its end and not for errors, as @libp2p/http 2 does, would wait for ever.
   * Everybody else knows by then, and does not mistake this for the end of an answer.
   */
  refused (): void {
    nextTurn(() => { this.#stream.dispatchEvent(new CustomEvent('remoteCloseWrite')) })
  }

  #iterateThenThrow (error: Error): () => AsyncGenerator<Uint8Array | Uint8ArrayList> {
    const stream = this.#stream
    const iterate = stream[Symbol.asyncIterator]

    return async function * () {
      yield * { [Symbol.asyncIterator]: () => iterate.call(stream) }

      throw error
    }
  }

  #onLate (type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void {
    const stream = this.#stream
    const { error } = this.#closed ?? {}

    switch (type) {
      case 'message':
        if (error != null && stream.remoteWriteStatus === 'closed') {
          this.#hideEnd()
        }
        break
      case 'remoteCloseWrite':
        if (error != null) {
          // see refused(): who is as late as this may not know of the error
          stream.removeEventListener(type, listener as EventListener, options)
        } else if (this.#hasEnded()) {
          nextTurn(() => { this.#tell(new CustomEvent(type), listener, options) })
        }
        break
      case 'end':
        if (stream.readableEnded) {
          nextTurn(() => { this.#tell(new CustomEvent(type), listener, options) })
        } else {
          nextTurn(() => { stream.maybeDispatchEnd?.() })
        }
        break
      case 'close':
        if (this.#closed != null) {
          const { local } = this.#closed
          nextTurn(() => { this.#tell(new StreamCloseEvent(local, error), listener, options) })
        }
        break
      default:
    }
  }

  #hideEnd (): void {
    const hidden = override<Ending>(this.#stream, {
      remoteWriteStatus: 'writable',
      // QUIC streams go on to say so
      onRemoteCloseWrite: () => {}
    })

    nextTurn(() => { hidden.restore() })
  }

  #hasEnded (): boolean {
    const { remoteWriteStatus, status } = this.#stream

    return remoteWriteStatus === 'closed' && status !== 'aborted' && status !== 'reset'
  }

  #tell (evt: Event, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void {
    const stream = this.#stream
    const listeners = stream.listenerCount(evt.type)

    // it does not come a second time
    stream.removeEventListener(evt.type, listener as EventListener, options)

    if (stream.listenerCount(evt.type) === listeners) {
      // who was listening has gone already
      return
    }

    Object.defineProperty(evt, 'target', { value: stream })

    if (typeof listener === 'function') {
      listener.call(stream, evt)
    } else {
      listener.handleEvent(evt)
    }
  }
}
