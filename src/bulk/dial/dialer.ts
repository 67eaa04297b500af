/**
 * Dials one address, past libp2p's dial queue: that would return a connection that
 * is there already, or join a dial of the same peer that is under way, whatever
 * the addresses. So this has to do what the dial queue would have done: ask the
 * connection gater, limit the time, and tell the peer store of the success. Of failures
 * it is not told: one that came too late here is none. The upgrader does all the rest,
 * from there on the connection is one like all others.
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection-manager/dial-queue.ts
 */
import { ConnectionClosedError, DialError, UnexpectedPeerError } from '@libp2p/interface'
import { raceSignal } from 'race-signal'
import { fromString } from 'uint8arrays/from-string'
import { closeSocketOf, leavesSocketsOpen, untilTimeout } from '../../compat/websocket-close.ts'
import { DialDeniedError } from '../../errors.ts'
import { transportOf } from '../../transport-of.ts'
import { withSignal } from '../with-signal.ts'
import type { BulkAddress } from './addresses.ts'
import type { StreamOpenerComponents } from '../../types.ts'
import type { AbortOptions, Connection, MultiaddrConnection, OpenConnectionProgressEvents, PeerId, Upgrader } from '@libp2p/interface'
import type { ProgressOptions } from 'progress-events'

export interface DialAddressOptions extends AbortOptions, ProgressOptions<OpenConnectionProgressEvents> {
  /**
   * Who is expected there
   */
  peer?: PeerId

  /**
   * How long it may take, in ms
   */
  timeout: number
}

/**
 * Under this key of the peer's metadata libp2p keeps when it has last dialled the peer
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection-manager/constants.defaults.ts
 */
const LAST_DIAL_SUCCESS_KEY = 'last-dial-success'

export async function dialAddress (components: StreamOpenerComponents, address: BulkAddress, options: DialAddressOptions): Promise<Connection> {
  const { timeout } = options

  const connection = await withSignal([options.signal], async signal => {
    try {
      return await dialUnlessDenied(components, address, options, signal)
    } catch (err) {
      throw signal.aborted ? signal.reason : err
    }
  }, { ms: timeout, message: `There was no connection within ${timeout}ms` })

  await remember(components, connection, options)

  return connection
}

/**
 * The peer can be reached there, and no other way may be known to
 */
async function remember ({ peerStore }: StreamOpenerComponents, { remotePeer, remoteAddr, log }: Connection, { signal }: AbortOptions): Promise<void> {
  try {
    await raceSignal(peerStore.merge(remotePeer, {
      multiaddrs: [remoteAddr],
      metadata: { [LAST_DIAL_SUCCESS_KEY]: fromString(`${Date.now()}`) }
    }, { signal }), signal)
  } catch (err) {
    log('the peer store was not told where %p was reached - %e', remotePeer, err)
  }
}

async function dialUnlessDenied (components: StreamOpenerComponents, address: BulkAddress, options: DialAddressOptions, signal: AbortSignal): Promise<Connection> {
  const { connectionGater } = components

  if (await raceSignal(Promise.resolve(connectionGater.denyDialMultiaddr?.(address.addr)), signal) === true) {
    throw new DialDeniedError('The connection gater denies dialling the address')
  }

  const dialing = dial(components, address, options, signal)

  try {
    return verify(await raceSignal(dialing, signal), address, options.peer)
  } catch (err: any) {
    // QUIC does not know of signals
    dialing.then(connection => { connection.abort(err) }, () => {})

    throw err
  }
}

async function dial ({ transportManager, upgrader }: StreamOpenerComponents, { addr, transport: name }: BulkAddress, { onProgress, timeout }: DialAddressOptions, signal: AbortSignal): Promise<Connection> {
  const transport = transportManager.dialTransportForMultiaddr(addr)

  if (transport == null) {
    throw new DialError('The node has no transport for the address')
  }

  const leavesOpen = leavesSocketsOpen(name)

  const common = {
    onProgress,
    upgrader: closingUpgrader(upgrader, signal, leavesOpen)
  }

  return transport.dial(addr, { ...common, ...leavesOpen ? untilTimeout(timeout) : { signal } })
}

/**
 * Sees to it that the socket is closed when the upgrade has failed, or the signal
 * has aborted before it began
 */
function closingUpgrader (upgrader: Upgrader, signal: AbortSignal, leavesOpen: boolean): Upgrader {
  const upgradeOutbound = async (maConn: MultiaddrConnection, options: Parameters<Upgrader['upgradeOutbound']>[1]): Promise<Connection> => {
    if (leavesOpen) {
      closeSocketOf(maConn)
    }

    try {
      signal.throwIfAborted()

      return await upgrader.upgradeOutbound(maConn, { ...options, signal })
    } catch (err: any) {
      maConn.abort(err)

      throw err
    }
  }

  return Object.assign(Object.create(upgrader), { upgradeOutbound })
}

/**
 * What came back is what was asked for
 */
function verify (connection: Connection, { transport }: BulkAddress, peer: PeerId | undefined): Connection {
  if (peer?.equals(connection.remotePeer) === false) {
    throw new UnexpectedPeerError(`The peer there is ${connection.remotePeer}`)
  }

  if (transport !== 'unknown' && transportOf(connection) !== transport) {
    throw new DialError(`The connection is on ${transportOf(connection)}`)
  }

  if (connection.status !== 'open') {
    throw new ConnectionClosedError('The peer closed the connection as soon as it was open')
  }

  return connection
}
