import { serviceCapabilities } from '@libp2p/interface'
import { PROTOCOL, tls } from '@libp2p/tls'
import { isTcpConnection } from '../compat/tls/tcp-socket.ts'
import { Certificates } from './certificates.ts'
import { Handshake } from './handshake.ts'
import type { ConnectionEncrypter, Logger, MessageStream, SecureConnectionOptions, SecuredConnection } from '@libp2p/interface'
import type { TLSComponents } from '@libp2p/tls'
import type { TlsUtils } from '../compat/tls/utils.ts'
import type { HandshakeInit, Role } from './handshake.ts'

/**
 * Encrypts what is a TCP socket on that socket, and leaves the rest to upstream
 */
export class TLS implements ConnectionEncrypter {
  readonly protocol = PROTOCOL
  readonly [Symbol.toStringTag] = '@libp2p/tls'
  readonly [serviceCapabilities] = ['@libp2p/connection-encryption']

  readonly #upstream: ConnectionEncrypter
  readonly #init?: HandshakeInit
  readonly #log: Logger
  #hasLogged = false

  constructor (components: TLSComponents, utils?: TlsUtils) {
    const { privateKey, logger, metrics } = components

    this.#log = logger.forComponent('libp2p:tls')
    this.#upstream = tls()(components)
    this.#init = utils && {
      components,
      certificates: new Certificates(privateKey, utils.generateCertificate),
      verify: utils.verifyPeerCertificate,
      // upstream names those of clients like this as well
      events: metrics?.registerCounterGroup('libp2p_tls_server_events_total', {
        label: 'event',
        help: 'Total count of TLS connection encryption events by type'
      }),
      errors: metrics?.registerCounterGroup('libp2p_tls_server_errors_total', {
        label: 'event',
        help: 'Total count of TLS connection encryption errors by type'
      }),
      countsBytes: metrics != null
    }
  }

  async secureInbound (connection: MessageStream, options?: SecureConnectionOptions): Promise<SecuredConnection> {
    return await this.#encrypt('server', connection, options) ?? this.#upstream.secureInbound(connection, options)
  }

  async secureOutbound (connection: MessageStream, options?: SecureConnectionOptions): Promise<SecuredConnection> {
    return await this.#encrypt('client', connection, options) ?? this.#upstream.secureOutbound(connection, options)
  }

  async #encrypt (role: Role, connection: MessageStream, options?: SecureConnectionOptions): Promise<SecuredConnection | undefined> {
    if (this.#init != null && isTcpConnection(connection)) {
      return new Handshake(this.#init, role, connection, options).run()
    }

    if (!this.#hasLogged) {
      this.#hasLogged = true
      this.#log('@libp2p/tls encrypts this and all such connections, %s', this.#init == null ? 'as it is older than 3.1' : 'which are not TCP sockets of @libp2p/tcp')
    }
  }
}
