/**
 * Nodes that dial each other again and again, and what leaves first
 */
import { noise } from '@libp2p/noise'
import { tls } from '@libp2p/tls'
import { encodeHandshake } from '../../src/negotiation/multistream-select.ts'
import { nextEvent } from './next-event.ts'
import { addressOf, connectIdentified } from './nodes.ts'
import type { NodeInit } from './nodes.ts'
import type { RawUpgrades } from './raw-upgrades.ts'
import type { Connection, Libp2p, MessageStream, MultiaddrConnection, PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const ENCRYPTERS = { noise, tls }

export type EncrypterName = keyof typeof ENCRYPTERS

export const ENCRYPTER_NAMES = ['noise', 'tls'] as const

export const ENCRYPTER_PROTOCOLS = { noise: '/noise', tls: '/tls/1.0.0' }

/**
 * The least that the first message of the encrypter has, in bytes
 */
export const FIRST_MESSAGE = { noise: 34, tls: 200 }

/**
 * Where dials gain
 */
export const DIAL_TRANSPORTS = ['tcp', 'ws'] as const

export type DialTransport = typeof DIAL_TRANSPORTS[number]

export function encrypted (...names: EncrypterName[]): NodeInit {
  return { connectionEncrypters: names.map(name => ENCRYPTERS[name]()) }
}

/**
 * Encrypters whose listeners do not agree on a muxer on the way. What they have encrypted
 * can be played with before libp2p negotiates the muxer on it.
 */
export function encryptedLate (play: (stream: MessageStream) => MessageStream = stream => stream): NodeInit {
  return {
    connectionEncrypters: [components => {
      const encrypter = noise()(components)
      const secureInbound = encrypter.secureInbound.bind(encrypter)

      return Object.assign(encrypter, {
        secureInbound: async (connection: MessageStream, options: object) => {
          const secured = await secureInbound(connection, { ...options, skipStreamMuxerNegotiation: true })

          return { ...secured, connection: play(secured.connection) }
        }
      })
    }]
  }
}

/**
 * What is stored of the encrypters of a peer
 */
export async function rememberedOf (dialer: Libp2p, peer: PeerId): Promise<string> {
  const { metadata } = await dialer.peerStore.get(peer)

  return new TextDecoder().decode(metadata.get('StreamOpenerEncrypters'))
}

export async function untilRemembered (dialer: Libp2p, peer: PeerId, encrypters: string): Promise<void> {
  while (true) {
    const updated = nextEvent(dialer, 'peer:update')

    if (await rememberedOf(dialer, peer) === encrypters) {
      return
    }

    await updated
  }
}

/**
 * Connects once, and disconnects when it is stored what the peer speaks
 */
export async function meet (dialer: Libp2p, listener: Libp2p, encrypters = '/noise'): Promise<void> {
  await connectIdentified(dialer, listener)
  await untilRemembered(dialer, listener.peerId, encrypters)
  await dialer.hangUp(listener.peerId)
}

export interface Dial {
  connection: Connection

  /**
   * What came first on each connection, it may have been tried again
   */
  first: string[]

  /**
   * Whether the first message of an encrypter came with the handshake, each time
   */
  optimistic: boolean[]
}

/**
 * Dials and looks at what comes first, at the listener
 */
export async function dialAndLook (dialer: Libp2p, listener: Libp2p, raw: RawUpgrades, target: Multiaddr | PeerId = addressOf(listener), dial = async (): Promise<Connection> => dialer.dial(target)): Promise<Dial> {
  const flights: Uint8Array[] = []

  raw.always = maConn => {
    const receiving = maConn as MultiaddrConnection & { onData(data: Uint8Array): void }
    const onData = receiving.onData.bind(receiving)

    const received: Uint8Array[] = []

    // a WebSocket gets what stock sends in several messages
    receiving.onData = data => {
      received.push(data.slice())
      const all = Buffer.concat(received)

      if (all.toString().split('\n').length > 2) {
        flights.push(all)
        receiving.onData = onData
      }

      onData(data)
    }
  }

  try {
    const connection = await dial()
    const selected = flights.map(flight => new TextDecoder().decode(flight).split('\n', 2)[1]?.slice(1) ?? '')

    return {
      connection,
      first: selected,
      optimistic: flights.map((flight, i) => flight.byteLength > encodeHandshake(selected[i] ?? '').byteLength)
    }
  } finally {
    raw.always = undefined
  }
}
