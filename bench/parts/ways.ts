/**
 * The ways in which a stream can be opened. Each sample makes sure that it was
 * opened in the way that it is a sample of.
 */
import { timeEcho, timeExchange } from '../../test/support/exchange.ts'
import { dialIdentified, withConnection, withDialer } from './with-dialer.ts'
import type { Timing } from '../../test/support/exchange.ts'
import type { Dialer } from './with-dialer.ts'
import type { Connection, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * - `stock`: `dialProtocol`
 * - `full`: the stream opener, where it leaves the negotiation to libp2p
 * - `early`: on a connection that is new, while identify is on its way
 * - `optimistic`: on a connection whose peer is identified
 * - `resumed`: on a connection that is new to a peer that was identified on an
 *   earlier one
 */
export const WAYS = ['stock', 'full', 'early', 'optimistic', 'resumed'] as const

export type Way = typeof WAYS[number]

export type Samplers = Record<Way, () => Promise<Timing>> & {
  /**
   * How long an answer takes on a stream that is open, in ms
   */
  echo(): Promise<number>
}

async function openOn (dialer: Dialer, connection: Connection, protocol: string, path: 'optimistic' | 'early' | 'full'): Promise<Stream> {
  let taken = ''

  const stream = await dialer.services.streamOpener.newStreamOn(connection, protocol, {
    onProgress: evt => {
      if (evt.type.startsWith('stream-opener:')) {
        taken = evt.type
      }
    }
  })

  if (taken !== `stream-opener:${path}`) {
    throw new Error(`The path was ${taken} and not ${path}`)
  }

  return stream
}

async function timeOnNewConnection (dialer: Dialer, addr: Multiaddr, protocol: string, path: 'optimistic' | 'early'): Promise<Timing> {
  const connection = await dialer.dial(addr)
  const timing = await timeExchange(async () => openOn(dialer, connection, protocol, path))

  await dialer.hangUp(connection.remotePeer)

  return timing
}

/**
 * Lets the node hear what the peer speaks on a connection that is closed then
 */
export async function remember (dialer: Dialer, addr: Multiaddr): Promise<void> {
  const { remotePeer } = await dialIdentified(dialer, addr)

  while (!(await dialer.peerStore.get(remotePeer)).metadata.has('StreamOpenerProtocols')) {
    await new Promise(resolve => { setTimeout(resolve, 10) })
  }

  await dialer.hangUp(remotePeer)
}

/**
 * Calls the function with what opens a stream to the listener at this address and
 * waits for the answer, in all ways
 */
export async function withWays <T> (addr: Multiaddr, protocol: string, fn: (samplers: Samplers) => Promise<T>): Promise<T> {
  const openFull = async (run: (full: () => Promise<Timing>) => Promise<T>): Promise<T> => withConnection(addr, async (dialer, connection) => {
    return run(async () => timeExchange(async () => openOn(dialer, connection, protocol, 'full')))
  }, { negotiation: 'full' })

  const reconnect = async (run: (early: () => Promise<Timing>, resumed: () => Promise<Timing>) => Promise<T>): Promise<T> => withDialer(async fresh => withDialer(async resuming => {
    await remember(resuming, addr)

    return run(
      async () => timeOnNewConnection(fresh, addr, protocol, 'early'),
      async () => timeOnNewConnection(resuming, addr, protocol, 'optimistic')
    )
  }, {}, { resume: true }))

  return withConnection(addr, async (dialer, connection) => {
    const open = await dialer.dialProtocol(connection.remotePeer, protocol)

    return openFull(async full => reconnect(async (early, resumed) => fn({
      echo: async () => timeEcho(open),
      stock: async () => timeExchange(async () => dialer.dialProtocol(connection.remotePeer, protocol)),
      full,
      early,
      optimistic: async () => timeExchange(async () => openOn(dialer, connection, protocol, 'optimistic')),
      resumed
    })))
  })
}
