/**
 * What upstream does: `@libp2p/tls/utils`, which makes and verifies certificates, is
 * there since @libp2p/tls 3.1.0. Releases before it keep that to themselves.
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/connection-encrypter-tls/src/utils.ts,
 * test/interop/upstream/js-libp2p-tls-socket.md
 *
 * How it is detected: by importing it.
 *
 * Without it: @libp2p/tls encrypts every connection as ever.
 *
 * Until: the oldest @libp2p/tls that this package works with is 3.1.0.
 */
export const tlsUtils = await import('@libp2p/tls/utils').catch(() => undefined)

export type TlsUtils = NonNullable<typeof tlsUtils>
