/**
 * In browsers there are no sockets
 */
export * from '@libp2p/tls'
