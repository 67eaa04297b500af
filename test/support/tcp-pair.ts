import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { keptLog } from './log.ts'
import { createStockNode } from './nodes.ts'
import type { ConnectionEncrypter, Listener, MultiaddrConnection, PeerId, PrivateKey, SecuredConnection } from '@libp2p/interface'
import type { TLSComponents } from '@libp2p/tls'
import type { Socket } from 'node:net'

export type EncrypterFactory = () => (components: any) => ConnectionEncrypter

/**
 * What @libp2p/tcp makes of a socket
 */
export type TcpConnection = MultiaddrConnection & { socket: Socket }

/**
 * The two ends of a TCP connection, as @libp2p/tcp has them encrypted
 */
export interface TcpPair {
  dialer: TcpConnection
  listener: TcpConnection
  server: Listener
}

export async function tcpPair (addr = '/ip4/127.0.0.1/tcp/0', init: Parameters<typeof tcp>[0] = {}): Promise<TcpPair> {
  const transport = tcp(init)(keptLog())
  const { promise, resolve } = Promise.withResolvers<TcpConnection>()
  const server = transport.createListener({
    upgrader: { upgradeInbound: async (connection: TcpConnection) => { resolve(connection) } }
  } as any)

  await server.listen(multiaddr(addr))

  const [listening = multiaddr(addr)] = server.getAddrs()
  const dialer: any = await transport.dial(listening, {
    signal: AbortSignal.timeout(10_000),
    upgrader: { upgradeOutbound: async (connection: TcpConnection) => connection }
  } as any)

  return { dialer, listener: await promise, server }
}

export interface Identity {
  peerId: PeerId
  privateKey: PrivateKey
}

export async function createIdentity (): Promise<Identity> {
  const node = await createStockNode(undefined, { start: false })

  return (node as any).components
}

export function createEncrypter (factory: EncrypterFactory, { privateKey }: Identity, components: Partial<TLSComponents> = {}): ConnectionEncrypter {
  return factory()({
    privateKey,
    ...keptLog(),
    upgrader: { getStreamMuxers: () => new Map() } as any,
    ...components
  })
}

/**
 * Encrypts both ends
 */
export async function encrypt ({ dialer, listener }: TcpPair, dialing: ConnectionEncrypter, listening: ConnectionEncrypter): Promise<{ dialer: SecuredConnection, listener: SecuredConnection }> {
  const [near, far] = await Promise.all([dialing.secureOutbound(dialer), listening.secureInbound(listener)])

  return { dialer: near, listener: far }
}
