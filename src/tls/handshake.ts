import { once } from 'node:events'
import { TLSSocket, connect } from 'node:tls'
import { ConnectionClosedError, InvalidCryptoExchangeError } from '@libp2p/interface'
import { countBytes } from '../compat/tls/count-bytes.ts'
import { EarlySocket } from '../compat/tls/early-socket.ts'
import { takeSocket } from '../compat/tls/tcp-socket.ts'
import { EncryptedConnection } from '../compat/tls/encrypted-connection.ts'
import { destroyOnError } from '../compat/tls/server-errors.ts'
import { untilNextTurn } from '../util/next-turn.ts'
import { whenConfirmed } from '../util/unconfirmed.ts'
import type { CounterGroup, Logger, PeerId, SecureConnectionOptions, SecuredConnection, StreamCloseEvent, StreamMuxerFactory } from '@libp2p/interface'
import type { TLSComponents } from '@libp2p/tls'
import type { Duplex } from 'node:stream'
import type { SecureContext } from 'node:tls'
import type { TcpConnection } from '../compat/tls/tcp-socket.ts'
import type { TlsUtils } from '../compat/tls/utils.ts'
import type { Certificates } from './certificates.ts'

export type Role = 'client' | 'server'

/**
 * What all handshakes of a node have in common
 */
export interface HandshakeInit {
  /**
   * With the muxers. It is made after the encrypters are.
   */
  components: Pick<TLSComponents, 'upgrader'>
  certificates: Certificates
  verify: TlsUtils['verifyPeerCertificate']
  events?: CounterGroup
  errors?: CounterGroup
  countsBytes: boolean
}

/**
 * What those say in ALPN who do not negotiate the muxer there
 */
const NO_MUXER = 'libp2p'

/**
 * The signal aborted. @libp2p/tls has an error of this name but does not export it.
 */
class HandshakeTimeoutError extends Error {
  override name = 'HandshakeTimeoutError'
}

/**
 * The handshake on one connection. Whatever goes wrong, then and later, aborts the
 * connection.
 */
export class Handshake {
  readonly #init: HandshakeInit
  readonly #role: Role
  readonly #connection: TcpConnection
  readonly #options: SecureConnectionOptions
  readonly #log: Logger
  readonly #muxers: Map<string, StreamMuxerFactory>
  readonly #failed = Promise.withResolvers<never>()
  #failure?: Error

  constructor (init: HandshakeInit, role: Role, connection: TcpConnection, options: SecureConnectionOptions = {}) {
    this.#init = init
    this.#role = role
    this.#connection = connection
    this.#options = options
    this.#log = connection.log.newScope('tls')
    this.#muxers = options.skipStreamMuxerNegotiation === true ? new Map() : init.components.upgrader.getStreamMuxers()
    // what goes wrong later nobody waits for
    this.#failed.promise.catch(() => {})
  }

  async run (): Promise<SecuredConnection> {
    const { signal } = this.#options

    signal?.throwIfAborted()

    if (this.#connection.status !== 'open') {
      throw new ConnectionClosedError(`The connection is ${this.#connection.status}`)
    }

    const onClose = ({ error }: StreamCloseEvent): void => {
      this.#fail(error ?? new ConnectionClosedError('The connection was closed during the handshake'))
    }
    const onAbort = (): void => {
      this.#init.events?.increment({ abort: true })
      this.#init.errors?.increment({ encrypt_abort: true })
      this.#fail(new HandshakeTimeoutError('Handshake timeout'))
    }

    this.#connection.addEventListener('close', onClose)
    signal?.addEventListener('abort', onAbort)

    try {
      return await this.#encrypt()
    } catch (err: any) {
      // what it was to begin with
      throw this.#fail(err)
    } finally {
      this.#connection.removeEventListener('close', onClose)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async #encrypt (): Promise<SecuredConnection> {
    const { certificates, countsBytes } = this.#init
    const confirmed = whenConfirmed(this.#connection)
    const early = confirmed == null ? undefined : new EarlySocket(this.#connection)
    let count = early == null && countsBytes ? countBytes(this.#connection) : undefined
    // before anything is waited for, as what comes then is for TLS
    const bare = early ?? takeSocket(this.#connection)

    void confirmed?.then(() => {
      if (early?.takeOver() === true && countsBytes) {
        count = countBytes(this.#connection)
      }
    })

    const secureContext = await this.#unlessFailed(certificates.current())

    if (bare.destroyed) {
      throw new ConnectionClosedError('The connection was closed before the handshake')
    }

    const socket = this.#wrap(bare, secureContext)

    socket.on('error', err => { this.#fail(err) })
    destroyOnError(socket)
    socket.once('close', () => {
      this.#init.events?.increment({ close: true })
      count?.()
    })

    await this.#unlessFailed(once(socket, 'secure'))
    // OpenSSL is still reading. If what follows closed the socket, that would end the
    // process, see test/interop/upstream/node-tls-destroyed.md
    await untilNextTurn()
    this.#init.events?.increment({ secure: true })

    const remotePeer = await this.#unlessFailed(this.#verify(socket))

    return {
      remotePeer,
      streamMuxer: this.#muxer(socket),
      connection: new EncryptedConnection(this.#connection, socket, count)
    }
  }

  #wrap (socket: Duplex, secureContext: SecureContext): TLSSocket {
    const options = {
      secureContext,
      // there is no authority, `#verify` looks at what the certificate says
      rejectUnauthorized: false
    }

    if (this.#role === 'client') {
      return connect({ ...options, socket, ALPNProtocols: [...this.#muxers.keys(), NO_MUXER] })
    }

    return new TLSSocket(socket, {
      ...options,
      isServer: true,
      requestCert: true,
      ALPNCallback: ({ protocols }) => protocols.find(protocol => this.#muxers.has(protocol)) ??
        protocols.find(protocol => protocol === NO_MUXER)
    })
  }

  /**
   * The one that was negotiated on the way
   */
  #muxer ({ alpnProtocol }: TLSSocket): StreamMuxerFactory | undefined {
    if (typeof alpnProtocol !== 'string' || alpnProtocol === NO_MUXER) {
      return
    }

    const muxer = this.#muxers.get(alpnProtocol)

    if (muxer == null) {
      throw new InvalidCryptoExchangeError(`Selected muxer ${alpnProtocol} did not exist`)
    }

    return muxer
  }

  async #verify (socket: TLSSocket): Promise<PeerId> {
    try {
      const certificate = socket.getPeerX509Certificate()

      if (certificate == null) {
        throw new InvalidCryptoExchangeError('The peer has no certificate')
      }

      return await this.#init.verify(certificate.raw, this.#options.remotePeer, this.#log)
    } catch (err) {
      this.#init.errors?.increment({ verify_peer_certificate: true })

      throw err
    }
  }

  async #unlessFailed <T> (promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#failed.promise])
  }

  #fail (err: Error): Error {
    if (this.#failure == null) {
      this.#failure = err
      this.#log.error('error encrypting %s connection - %e', this.#connection.direction, err)

      if (err.name !== 'HandshakeTimeoutError') {
        this.#init.events?.increment({ error: true })
      }

      this.#connection.abort(err)
      this.#failed.reject(err)
    }

    return this.#failure
  }
}
