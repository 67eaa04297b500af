import type { Turn } from './turn.ts'

/**
 * An answer to a handshake that is waited for
 */
export const HANDSHAKE = Symbol('handshake')

/**
 * A stream that is opened before the peer has answered anything on the connection
 */
export const EARLY = Symbol('early')

/**
 * A stream that the muxer of the connection is about to be asked for
 */
export const MUXER = Symbol('muxer')

/**
 * What there are slots for: these, and the open streams of each protocol
 */
export type Key = string | typeof HANDSHAKE | typeof EARLY | typeof MUXER

export interface Needs {
  /**
   * The protocols that the stream may turn out to be of, each once
   */
  protocols: string[]

  /**
   * Whether the call has to wait for the answer to its handshake
   */
  negotiates: boolean

  /**
   * Whether the peer has not answered anything on the connection yet
   */
  early: boolean
}

export interface StreamLimit {
  max: number

  /**
   * The option that says so
   */
  option: string
}

/**
 * A call that opens a stream, as far as the limits of its peer are concerned
 */
export interface Call {
  connection: object

  /**
   * Calls on the connection that are of the same kind need the same, at any time
   */
  kind: string

  /**
   * What it needs now, that may change while it waits
   */
  needs(): Needs

  /**
   * How many streams of the protocol may be open on the connection
   */
  streamLimit(protocol: string): StreamLimit

  /**
   * How many more streams the muxer of the connection gives now, Infinity where it has
   * no limit
   */
  streamsLeft(): number
}

export interface WaitInit extends Turn {
  /**
   * For how long nothing may be given back until it gives up, in ms
   */
  timeout: number

  /**
   * Whether the time before the call came counts as well, from when there was
   * something left
   */
  impatient?: boolean

  signal?: AbortSignal
}
