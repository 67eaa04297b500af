import { constants, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { PrivateKey } from '@libp2p/interface'
import type { SecureContext } from 'node:tls'
import type { TlsUtils } from '../compat/tls/utils.ts'

interface Certificate {
  readonly context: SecureContext

  /**
   * When it is used, as of `Date.now()`
   */
  readonly from: number
  readonly until: number
}

/**
 * The certificate of a node. All its connections have the same, as with go-libp2p: to
 * make one takes some 4 ms of CPU.
 */
export class Certificates {
  readonly #privateKey: PrivateKey
  readonly #generate: TlsUtils['generateCertificate']
  #latest?: Certificate
  #next?: Promise<Certificate>

  constructor (privateKey: PrivateKey, generate: TlsUtils['generateCertificate']) {
    this.#privateKey = privateKey
    this.#generate = generate
  }

  /**
   * What a connection is to be encrypted with that is made now
   */
  async current (): Promise<SecureContext> {
    const now = Date.now()
    let certificate = this.#latest

    if (certificate == null || now < certificate.from || now > certificate.until) {
      this.#next ??= this.#create().finally(() => { this.#next = undefined })
      certificate = this.#latest = await this.#next
    }

    return certificate.context
  }

  async #create (): Promise<Certificate> {
    const { cert, key } = await this.#generate(this.#privateKey)
    const { validFrom, validTo } = new X509Certificate(cert)
    const from = Date.parse(validFrom)

    return {
      from,
      // long before it expires, as the clock of a peer may be fast
      until: (from + Date.parse(validTo)) / 2,
      context: createSecureContext({
        cert,
        key,
        minVersion: 'TLSv1.3',
        maxVersion: 'TLSv1.3',
        // a ticket would be good for every connection with this context, so a peer
        // could resume the session of another one instead of proving its own key
        secureOptions: constants.SSL_OP_NO_TICKET
      })
    }
  }
}
