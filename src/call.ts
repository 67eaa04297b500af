import type { Turn } from './slots.ts'

/**
 * An answer to a handshake that is waited for
 */
export const HANDSHAKE = Symbol('handshake')

/**
 * A stream that is opened before the peer has answered anything on the connection
 */
export const EARLY = Symbol('early')

/**
 * What there are slots for: these two, and the open streams of each protocol
 */
export type Key = string | typeof HANDSHAKE | typeof EARLY

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
   * What it needs now, that may change while it waits
   */
  needs(): Needs

  /**
   * How many streams of the protocol may be open on the connection
   */
  streamLimit(protocol: string): StreamLimit
}

export interface WaitInit extends Turn {
  signal?: AbortSignal
}
