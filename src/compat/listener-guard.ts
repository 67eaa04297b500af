/**
 * What upstream does: a dialer that sends the handshake, its data and the FIN in one go is
 * within its rights, as go-libp2p and rust-libp2p do. But a listener updates its peer store
 * between the negotiation and the call of the handler (libp2p 3, src/connection.ts), and a
 * FIN that comes before the handler listens is lost, see late-listeners.ts. What came with
 * the handshake cannot be given back to a stream that has ended.
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection.ts,
 * test/interop/upstream/js-libp2p-lost-fin.md
 *
 * How it is detected: it is not. Inbound streams are found with muxer-access.ts, and
 * `maybeDispatchEnd` is feature-detected.
 *
 * Without it: such requests are not answered. Where the muxer cannot be reached the node
 * does not say that it guards its handlers, so that dialers hold the FIN back.
 *
 * Until: what ends late-listeners.ts, and data that came with the handshake is given back
 * before the end is announced.
 */
import { LISTENER_GUARD_PROTOCOL } from '../constants.ts'
import { LateListeners } from './late-listeners.ts'
import { getMuxer } from './muxer-access.ts'
import { watchLoss, watchLosses } from './silent-losses.ts'
import type { EndingStream } from './late-listeners.ts'
import type { Connection, Logger, Stream } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'

export interface ListenerGuardComponents {
  registrar: Registrar
}

export class ListenerGuard {
  #running = false
  readonly #components: ListenerGuardComponents
  readonly #log: Logger

  constructor (components: ListenerGuardComponents, log: Logger) {
    this.#components = components
    this.#log = log
  }

  /**
   * Peers see it in the protocols that identify names
   */
  async start (): Promise<void> {
    this.#running = true

    await this.#components.registrar.handle(LISTENER_GUARD_PROTOCOL, stream => {
      stream.abort(new Error('This protocol only says something about the node'))
    })
  }

  async stop (): Promise<void> {
    if (this.#running) {
      this.#running = false

      await this.#components.registrar.unhandle(LISTENER_GUARD_PROTOCOL)
    }
  }

  add (connection: Connection): void {
    if (!this.#running) {
      return
    }

    const muxer = getMuxer(connection)

    if (muxer == null) {
      this.#log('cannot guard the streams of connection %s, so peers are not to rely on it', connection.id)
      this.stop().catch(err => {
        this.#log.error('could not remove %s - %e', LISTENER_GUARD_PROTOCOL, err)
      })

      return
    }

    watchLosses(muxer)
    muxer.addEventListener('stream', this.#onStream)

    // the first ones may have come before anybody listened
    for (const stream of muxer.streams) {
      if (stream.direction === 'inbound') {
        guard(stream)
      }
    }
  }

  delete (connection: Connection): void {
    getMuxer(connection)?.removeEventListener('stream', this.#onStream)
  }

  readonly #onStream = (evt: CustomEvent<Stream>): void => {
    guard(evt.detail)
  }
}

/**
 * This stays as long as the stream: a handler that is late may be later than its
 * end
 */
function guard (stream: EndingStream): void {
  if (!Object.hasOwn(stream, 'addEventListener')) {
    void new LateListeners(stream)
    watchLoss(stream)
    holdEnd(stream)
  }
}

/**
 * Once there is nothing left to read the stream also says that it has come to its
 * end, and takes nothing back. While the protocol is negotiated that is not so: what
 * came with the handshake is put back afterwards.
 */
function holdEnd (stream: EndingStream): void {
  const { maybeDispatchEnd } = stream

  if (maybeDispatchEnd != null) {
    stream.maybeDispatchEnd = () => {
      if (stream.protocol !== '' || stream.status !== 'open') {
        maybeDispatchEnd.call(stream)
      } else if (stream.readStatus === 'closed') {
        stream.readStatus = 'readable'
      }
    }
  }
}
