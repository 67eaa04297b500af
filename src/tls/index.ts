/**
 * @packageDocumentation
 *
 * TLS for libp2p connections, at the speed of the socket: `tls()` of `@libp2p/tls` with
 * one import line changed. The bytes on the wire are the same, and so are the protocol,
 * the metrics and the errors.
 *
 * Where a connection is a TCP or Unix socket of `@libp2p/tcp`, `node:tls` runs on that
 * socket. Anything else `@libp2p/tls` encrypts, which has to be installed: WebSockets,
 * relayed connections, private networks, and all connections where `@libp2p/tls` is
 * older than 3.1.
 *
 * @see https://github.com/libp2p/specs/blob/master/tls/tls.md
 *
 * @example
 *
 * ```ts
 * import { createLibp2p } from 'libp2p'
 * import { tls } from 'libp2p-stream-opener/tls'
 *
 * const node = await createLibp2p({
 *   // ...
 *   connectionEncrypters: [
 *     tls()
 *   ]
 * })
 * ```
 */
import { tlsUtils } from '../compat/tls/utils.ts'
import { TLS } from './tls.ts'
import type { ConnectionEncrypter } from '@libp2p/interface'
import type { TLSComponents } from '@libp2p/tls'

export { PROTOCOL } from '@libp2p/tls'
export type { TLSComponents } from '@libp2p/tls'

/**
 * Returns what the `connectionEncrypters` of `createLibp2p` take
 */
export function tls (): (components: TLSComponents) => ConnectionEncrypter {
  return components => new TLS(components, tlsUtils)
}
