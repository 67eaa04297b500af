import { receiveBulk, sendBulk, streamOpener } from '../../src/index.ts'
import { ECHO } from '../support/streams.ts'
import type { BulkSession } from '../../src/index.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

type IsValid = (value: unknown) => boolean

const oneOf = (...values: unknown[]): IsValid => value => values.includes(value)
const boolean: IsValid = value => typeof value === 'boolean'
const timeout: IsValid = value => Number.isInteger(value) && Number(value) > 0 && Number(value) < 2 ** 31
const count = (least: number): IsValid => value => value === Infinity || (Number.isInteger(value) && Number(value) >= least)

/**
 * A function may decide for each protocol
 */
const perProtocol = (isValid: IsValid): IsValid => value => typeof value === 'function' || isValid(value)

const NEGOTIATION = {
  negotiationTimeout: timeout,
  halfClose: perProtocol(oneOf('confirmed', 'immediate')),
  resume: boolean,
  queue: boolean,
  queueTimeout: timeout
}

const CALL = {
  ...NEGOTIATION,
  priority: (value: unknown) => Number.isFinite(value),
  maxOutboundStreams: count(0)
}

const TRANSPORTS = ['tcp', 'quic', 'ws', 'memory']

const BULK = {
  ...CALL,
  transport: (value: unknown) => value === 'any' || (Array.isArray(value) ? value.length > 0 && value.every(name => TRANSPORTS.includes(name)) : TRANSPORTS.includes(value as string)),
  scope: oneOf('lan', 'loopback', 'public'),
  fallback: oneOf('any', 'none'),
  dialTimeout: timeout,
  force: boolean,
  runOnLimitedConnection: boolean
}

const BULK_DATA = {
  highWaterMark: (value: unknown) => Number.isInteger(value) && Number(value) > 0
}

export interface Nodes {
  dialer: Libp2p<OpenerServices>
  listener: Libp2p
  connection: Connection
  stream: Stream
  session: BulkSession
}

export interface Target {
  options: Record<string, IsValid>
  call(options: any, nodes: Nodes): unknown
}

/**
 * Everything that takes options, with what the README says they can be. What is
 * libp2p's own, as `signal` and `onProgress`, libp2p checks or not.
 */
export const TARGETS: Record<string, Target> = {
  streamOpener: {
    options: {
      ...NEGOTIATION,
      negotiation: perProtocol(oneOf('identified', 'always', 'full')),
      maxStreamsPerProtocol: count(1),
      maxNegotiationsPerPeer: count(1),
      maxQueuedPerPeer: count(0),
      intercept: value => boolean(value) || typeof value === 'function' || (Array.isArray(value) && value.every(protocol => typeof protocol === 'string' && protocol !== '' && !protocol.includes('\n'))),
      listenerGuard: boolean,
      quicReads: boolean
    },
    call: options => streamOpener(options)
  },
  newStream: {
    options: CALL,
    call: async (options, { dialer, listener }) => dialer.services.streamOpener.newStream(listener.peerId, ECHO, options)
  },
  newStreamOn: {
    options: CALL,
    call: async (options, { dialer, connection }) => dialer.services.streamOpener.newStreamOn(connection, ECHO, options)
  },
  openBulkStream: {
    options: BULK,
    call: async (options, { dialer, listener }) => dialer.services.streamOpener.openBulkStream(listener.peerId, ECHO, options)
  },
  openBulkSession: {
    options: { ...BULK, connections: oneOf('shared', 'per-stream'), maxConnections: () => false },
    call: async (options, { dialer, listener }) => dialer.services.streamOpener.openBulkSession(listener.peerId, ECHO, options)
  },
  openStream: {
    options: CALL,
    call: async (options, { session }) => session.openStream(options)
  },
  sendBulk: {
    options: BULK_DATA,
    call: async (options, { stream }) => sendBulk(stream, [], options)
  },
  receiveBulk: {
    options: BULK_DATA,
    call: async (options, { stream }) => receiveBulk(stream, options).next()
  }
}
