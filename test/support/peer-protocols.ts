/**
 * What the handlers of the peers do
 */
export const PROTOCOLS = {
  /**
   * Sends everything back
   */
  echo: '/interop/echo/1.0.0',

  /**
   * Another echo
   */
  other: '/interop/other/1.0.0',

  /**
   * An echo that is there to be dropped
   */
  dropped: '/interop/dropped/1.0.0',

  /**
   * Sends `welcome` and ends
   */
  speakFirst: '/interop/speak-first/1.0.0',

  /**
   * Answers the end with a `SinkReport`
   */
  sink: '/interop/sink/1.0.0',

  /**
   * A sink that does not read for 300 ms
   */
  slow: '/interop/slow/1.0.0',

  /**
   * Sends length prefixed messages back, one by one
   */
  lengthPrefixed: '/interop/lp/1.0.0',

  /**
   * Answers the end with how many bytes it got, only go does that
   */
  count: '/interop/count/1.0.0',

  ping: '/ipfs/ping/1.0.0',

  /**
   * Nobody speaks this
   */
  unsupported: '/interop/unsupported/1.0.0'
}

export interface SinkReport {
  bytes: number
  sha256: string
}
