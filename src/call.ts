/**
 * A call that opens a stream, as far as the limits of its peer are concerned
 */
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

export interface QueueInit {
  priority: number

  /**
   * Who asked first, where the priority is the same
   */
  order: number

  /**
   * How long to wait while nothing of what it waits for is given back, in ms
   */
  timeout: number
  signal?: AbortSignal
}
