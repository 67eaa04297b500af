export type Transport = 'tcp' | 'quic'

export const TRANSPORTS: Transport[] = ['tcp', 'quic']
