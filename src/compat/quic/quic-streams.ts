/**
 * What upstream does: the streams of QUIC connections do not behave as those of other
 * muxers do, see native-reads.ts, and every other stream of a connection that is lost is
 * left as it is (@chainsafe/libp2p-quic 2, src/stream.ts and src/stream-muxer.ts).
 *
 * Where: https://github.com/ChainSafe/js-libp2p-quic/blob/main/src/stream-muxer.ts,
 * test/interop/upstream/js-libp2p-quic-reads.md
 *
 * How it is detected: the native connection is `muxer.init.connection`, and hands out the
 * native streams. `onInboundStream` of the muxer is given those of the peer, and
 * `cleanUpStream` what it has made of them. The methods are replaced on these objects,
 * connection by connection.
 *
 * Without it: all is as with stock, as it is for streams that were opened before the
 * service was started. sendBulk and receiveBulk still do what they say, see
 * stock-reads.ts.
 *
 * Until: reads grow, `pause()` is passed on, and a reset and a lost connection are errors
 * of every stream.
 */
import { ConnectionClosedError } from '@libp2p/interface'
import { override } from '../../util/override.ts'
import { getMuxer } from '../muxer-access.ts'
import { watchLoss } from '../silent-losses.ts'
import { heldByPause } from './held-by-pause.ts'
import { isQuicStream, NativeReads } from './native-reads.ts'
import type { NativeReadsOwner, NativeStream } from './native-reads.ts'
import type { Override } from '../../util/override.ts'
import type { Connection, MultiaddrConnection, Stream, StreamMuxer } from '@libp2p/interface'
import type { AbstractMultiaddrConnection } from '@libp2p/utils'

/**
 * A connection of quinn
 */
interface NativeConnection {
  outboundStream(): Promise<NativeStream>
}

interface QuicMuxer extends StreamMuxer {
  init: QuicMuxerInit
  onInboundStream(native: NativeStream): void
  cleanUpStream(stream: Stream): void
}

interface QuicMuxerInit {
  connection: NativeConnection
  maConn: MultiaddrConnection & Pick<AbstractMultiaddrConnection, 'onTransportClosed'>
}

function isQuicMuxer (muxer?: StreamMuxer): muxer is QuicMuxer {
  const { init, onInboundStream, cleanUpStream } = (muxer ?? {}) as Partial<QuicMuxer>
  const { connection, maConn } = (init ?? {}) as Partial<QuicMuxerInit>

  return typeof connection?.outboundStream === 'function' && typeof maConn?.onTransportClosed === 'function' && typeof onInboundStream === 'function' && typeof cleanUpStream === 'function'
}

export class QuicStreams {
  readonly #connections = new Map<Connection, QuicConnection>()

  start (connections: Connection[]): void {
    connections.forEach(connection => { this.add(connection) })
  }

  add (connection: Connection): void {
    const muxer = getMuxer(connection)

    if (isQuicMuxer(muxer) && !this.#connections.has(connection)) {
      this.#connections.set(connection, new QuicConnection(muxer))
    }
  }

  delete (connection: Connection): void {
    this.#connections.get(connection)?.restore()
    this.#connections.delete(connection)
  }

  stop (): void {
    for (const connection of [...this.#connections.keys()]) {
      this.delete(connection)
    }
  }
}

class QuicConnection implements NativeReadsOwner {
  /**
   * Those of the stream that is being made
   */
  #reads?: NativeReads
  readonly #muxer: QuicMuxer
  readonly #connection: Override<NativeConnection>
  readonly #methods: Override<Pick<QuicMuxer, 'onInboundStream' | 'cleanUpStream' | 'abort'>>

  constructor (muxer: QuicMuxer) {
    const { connection } = muxer.init

    this.#muxer = muxer
    this.#connection = override<NativeConnection>(connection, {
      outboundStream: async () => {
        const native = await this.#connection.original.outboundStream.call(connection)
        void new NativeReads(native, this)

        return native
      }
    })
    this.#methods = override<Pick<QuicMuxer, 'onInboundStream' | 'cleanUpStream' | 'abort'>>(muxer, {
      onInboundStream: native => {
        void new NativeReads(native, this)
        this.#methods.original.onInboundStream.call(muxer, native)
      },
      cleanUpStream: stream => {
        this.#methods.original.cleanUpStream.call(muxer, stream)
        this.#attach(stream)
      },
      abort: err => { this.#abort(err) }
    })
  }

  restore (): void {
    this.#connection.restore()
    this.#methods.restore()
    this.#muxer.streams.forEach(stream => { heldByPause.get(stream)?.restore() })
  }

  onFirstRead (reads: NativeReads): void {
    this.#reads = reads
  }

  /**
   * libp2p gets to know it from somewhere else, but whoever is told by a stream is not to
   * find the connection open
   */
  onLost (): void {
    this.#muxer.init.maConn.onTransportClosed()
  }

  /**
   * A stream has been made
   */
  #attach (stream: Stream): void {
    const reads = this.#reads
    this.#reads = undefined

    if (reads == null) {
      return
    }

    if (isQuicStream(stream)) {
      reads.attach(stream)
      // its loss is an error from now on
      watchLoss(stream)
    } else {
      reads.restore()
    }
  }

  #abort (err: Error): void {
    const { init: { maConn }, streams } = this.#muxer
    // those that are aborted disappear from the list while it is gone through
    const all = [...streams]
    const error = maConn.status === 'open' ? err : new ConnectionClosedError(`The connection was lost - ${err.message}`)

    this.#methods.original.abort.call(this.#muxer, error)
    all.forEach(stream => { stream.abort(error) })
  }
}
