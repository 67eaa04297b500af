/**
 * An answer to a handshake that is waited for. It is the peer that is limited, over
 * all connections to it.
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
 * What is limited: these, and the open streams of each protocol
 */
export type Key = string | typeof HANDSHAKE | typeof EARLY | typeof MUXER

/**
 * One of what is limited, as far as this call may have one
 */
export interface Need {
  key: Key
  max: number

  /**
   * The option that says so
   */
  option?: string
}

export interface Needs {
  /**
   * The call gets all of these at once, or waits
   */
  limits: Need[]

  /**
   * The protocol that needs no handshake, if there is one. It was found out with the
   * needs and stays with them: by the time that the call goes on it may be another.
   */
  trusted?: string
}

/**
 * Something of which there may be only so many at a time. How many is for each call
 * to say.
 */
export class Limit {
  inUse = 0

  /**
   * When one was last taken and given back, as of `performance.now()`
   */
  takenAt = 0
  givenBackAt = 0

  /**
   * The connection that it is for, or all those of the peer
   */
  readonly scope: object
  readonly key: Key

  constructor (scope: object, key: Key) {
    this.scope = scope
    this.key = key
  }

  take (): void {
    this.inUse++
    this.takenAt = performance.now()
  }

  giveBack (): void {
    this.inUse--
    this.givenBackAt = performance.now()
  }
}
