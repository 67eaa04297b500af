import { multiaddr } from '@multiformats/multiaddr'
import { MAX_SESSION_CONNECTIONS } from '../constants.ts'
import { checkBoolean, checkOptions, checkCount, checkOneOf, checkTimeout, readCallOptions, readProtocols, reject } from '../options.ts'
import type { AddressScope, BulkFallback, BulkSessionOptions, BulkStreamOptions, BulkTransport } from './types.ts'
import type { TransportManager } from '@libp2p/interface-internal'

const PEER = '12D3KooWGC6TvWhfapngX6wvJHHYvQXqpnx4UhBMHdcXfG2mZQmT'
const CERTHASH = 'uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ'

/**
 * An address of each transport: a node has the transport if it has something to
 * dial it with
 */
const SAMPLES: Record<BulkTransport, string> = {
  tcp: '/ip4/127.0.0.1/tcp/1',
  quic: '/ip4/127.0.0.1/udp/1/quic-v1',
  ws: '/ip4/127.0.0.1/tcp/1/ws',
  wss: '/ip4/127.0.0.1/tcp/1/tls/ws',
  webtransport: `/ip4/127.0.0.1/udp/1/quic-v1/webtransport/certhash/${CERTHASH}`,
  webrtc: `/ip4/127.0.0.1/tcp/1/p2p/${PEER}/p2p-circuit/webrtc`,
  'webrtc-direct': `/ip4/127.0.0.1/udp/1/webrtc-direct/certhash/${CERTHASH}`,
  memory: '/memory/1',
  relay: `/ip4/127.0.0.1/tcp/1/p2p/${PEER}/p2p-circuit`
}

const TRANSPORTS = Object.keys(SAMPLES) as BulkTransport[]
const SCOPES = ['lan', 'loopback', 'public']
const FALLBACKS = ['any', 'relay', 'none']
const CONNECTIONS = ['shared', 'per-stream']

/**
 * Their addresses are in no scope
 */
const WITHOUT_SCOPE: BulkTransport[] = ['relay', 'webrtc', 'memory']

/**
 * What a connection has to be like
 */
export interface Choice {
  /**
   * In order of preference
   */
  transports: Array<BulkTransport | 'any'>
  scope?: AddressScope
  fallback: BulkFallback
  dialTimeout?: number
  runOnLimitedConnection: boolean
}

/**
 * When a connection will do that is there already: before one is dialled, when that has
 * failed, or never. In the latter cases what is dialled is for nobody else.
 */
export type Reuse = 'first' | 'last' | 'never'

interface BulkRequest {
  protocols: string[]
  choice: Choice
  reuse: Reuse
}

/**
 * The same, for its first connection: those that follow are never there already
 */
export interface SessionRequest extends BulkRequest {
  maxConnections: number
}

/**
 * Reads what is the same for streams and sessions. Nothing is done before all of it
 * has been checked.
 */
export function readBulkOptions (protocols: string | string[], options: BulkStreamOptions, transportManager: TransportManager): BulkRequest {
  checkOptions(options)

  const { scope, dialTimeout } = options
  const fallback = options.fallback ?? 'any'
  const runOnLimitedConnection = options.runOnLimitedConnection ?? false

  readCallOptions(options)
  checkOneOf('scope', scope, SCOPES)
  checkOneOf('fallback', fallback, FALLBACKS)
  checkTimeout('dialTimeout', dialTimeout)
  checkBoolean('runOnLimitedConnection', runOnLimitedConnection)
  checkBoolean('force', options.force)

  const choice: Choice = {
    transports: readTransports(options.transport, transportManager),
    scope,
    fallback,
    dialTimeout,
    runOnLimitedConnection
  }

  checkContradictions(choice)

  return {
    protocols: readProtocols(protocols),
    choice,
    reuse: options.force === true ? 'never' : 'first'
  }
}

export function readSessionOptions (protocols: string | string[], options: BulkSessionOptions, transportManager: TransportManager): SessionRequest {
  checkOptions(options)

  const { maxConnections } = options
  const connections = options.connections ?? 'shared'

  checkOneOf('connections', connections, CONNECTIONS)
  checkCount('maxConnections', maxConnections, 1)

  if (connections === 'shared' && maxConnections != null) {
    reject('connections', connections, "'per-stream' for maxConnections to have a meaning")
  }

  const request = readBulkOptions(protocols, options, transportManager)

  if (connections === 'shared') {
    return { ...request, maxConnections: 1 }
  }

  return {
    ...request,
    reuse: request.reuse === 'first' ? 'last' : request.reuse,
    maxConnections: maxConnections ?? MAX_SESSION_CONNECTIONS
  }
}

function readTransports (transport: BulkStreamOptions['transport'] = 'any', transportManager: TransportManager): Choice['transports'] {
  if (transport === 'any') {
    return [transport]
  }

  const transports = Array.isArray(transport) ? transport : [transport]

  if (transports.length === 0) {
    reject('transport', '[]', "'any', a transport, or at least one of them")
  }

  for (const name of transports) {
    if (!TRANSPORTS.includes(name)) {
      reject('transport', name, `'any', or of ${TRANSPORTS.map(name => `'${name}'`).join(', ')}`)
    }

    if (transportManager.dialTransportForMultiaddr(multiaddr(SAMPLES[name])) == null) {
      reject('transport', name, `one that the node has, ${listTransports(transportManager)}`)
    }
  }

  return [...new Set(transports)]
}

function listTransports (transportManager: TransportManager): string {
  const names = TRANSPORTS.filter(name => transportManager.dialTransportForMultiaddr(multiaddr(SAMPLES[name])) != null)

  return names.map(name => `'${name}'`).join(' or ')
}

function checkContradictions ({ transports, scope, fallback, runOnLimitedConnection }: Choice): void {
  if (transports.includes('relay') && !runOnLimitedConnection) {
    reject('transport', 'relay', 'a direct one unless runOnLimitedConnection is true')
  }

  if (fallback === 'relay' && !runOnLimitedConnection) {
    reject('fallback', fallback, "'any' or 'none' unless runOnLimitedConnection is true")
  }

  const withoutScope = WITHOUT_SCOPE.find(name => transports.includes(name))

  if (scope != null && withoutScope != null) {
    reject('scope', scope, `left out with transport '${withoutScope}', whose addresses are in no scope`)
  }
}
