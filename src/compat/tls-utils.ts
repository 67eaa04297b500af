/**
 * How @libp2p/tls makes and verifies certificates.
 *
 * - What upstream does: `@libp2p/tls/utils` is there since 3.1.0, releases before it
 *   keep the functions to themselves.
 * - How it is detected: by importing it.
 * - Without it: @libp2p/tls encrypts every connection as ever.
 * - Until: the oldest @libp2p/tls that this package works with is 3.1.0.
 */
export const tlsUtils = await import('@libp2p/tls/utils').catch(() => undefined)

export type TlsUtils = NonNullable<typeof tlsUtils>
