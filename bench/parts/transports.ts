export type Transport = 'tcp' | 'quic' | 'ws'

/**
 * WebSockets differ from TCP by some bytes of framing, so only what is about round
 * trips is measured over them as well
 */
export const TRANSPORTS = ['tcp', 'quic'] as const

export const ALL_TRANSPORTS: Transport[] = ['tcp', 'quic', 'ws']
