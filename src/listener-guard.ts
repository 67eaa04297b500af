/**
 * Keeps protocol handlers of this node from missing the end of a stream.
 *
 * A dialer that sends the handshake, its data and the FIN in one go is within its
 * rights. But libp2p announces the FIN when it arrives, and that may be before the
 * handler listens: libp2p updates the peer store between the negotiation and
 * calling it, and the handler may take its time as well. `for await` and whoever
 * else waits for the announcement then waits for ever.
 *
 * So whoever begins to listen for the end of an inbound stream after it has come is
 * told nevertheless, once, after the data. The state of the stream, and everything
 * else about it, is as ever.
 */
import { LISTENER_GUARD_PROTOCOL } from './constants.ts'
import { getMuxer } from './muxer-access.ts'
import { nextTurn } from './next-turn.ts'
import type { InboundStream } from './muxer-access.ts'
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
      this.#log('can not guard the streams of connection %s, so peers are not to rely on it', connection.id)
      this.stop().catch(err => {
        this.#log.error('could not remove %s - %e', LISTENER_GUARD_PROTOCOL, err)
      })

      return
    }

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

type AddEventListener = (type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions) => void

/**
 * This stays as long as the stream: a handler that is late may be later than its
 * end
 */
function guard (stream: InboundStream): void {
  if (Object.hasOwn(stream, 'addEventListener')) {
    return
  }

  const addEventListener = stream.addEventListener as AddEventListener

  stream.addEventListener = (type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void => {
    addEventListener.call(stream, type, listener, options)

    if (listener == null || !hasEnded(stream)) {
      return
    }

    // listening for messages has handed out what there was by then
    if (type === 'remoteCloseWrite' || (type === 'end' && stream.readableEnded)) {
      nextTurn(() => { tell(stream, type, listener, options) })
    } else if (type === 'end') {
      nextTurn(() => { stream.maybeDispatchEnd?.() })
    }
  }

  holdEnd(stream)
}

/**
 * Once there is nothing left to read the stream also says that it has come to its
 * end. While the protocol is negotiated that is not so: what came with the
 * handshake is put back afterwards.
 */
function holdEnd (stream: InboundStream): void {
  const { maybeDispatchEnd } = stream

  if (maybeDispatchEnd != null) {
    stream.maybeDispatchEnd = () => {
      if (stream.protocol !== '' || stream.status !== 'open') {
        maybeDispatchEnd.call(stream)
      }
    }
  }
}

function hasEnded ({ remoteWriteStatus, status }: Stream): boolean {
  return remoteWriteStatus === 'closed' && status !== 'aborted' && status !== 'reset'
}

function tell (stream: Stream, type: 'remoteCloseWrite' | 'end', listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void {
  const listeners = stream.listenerCount(type)

  // it does not come a second time
  stream.removeEventListener(type, listener as EventListener, options)

  if (stream.listenerCount(type) === listeners) {
    // who was listening has gone already
    return
  }

  const evt = new CustomEvent(type)
  Object.defineProperty(evt, 'target', { value: stream })

  if (typeof listener === 'function') {
    listener.call(stream, evt)
  } else {
    listener.handleEvent(evt)
  }
}
