import { EARLY, HANDSHAKE, MUXER } from './call.ts'
import { QueueTimeoutError } from '../errors.ts'
import type { Call } from './call.ts'
import type { Slots } from './slots.ts'

/**
 * Says what the call has waited for, and what to do about it
 */
export function createTimeoutError ({ key, inUse }: Slots, call: Call, timeout: number, maxNegotiations: number): QueueTimeoutError {
  switch (key) {
    case HANDSHAKE:
      return new QueueTimeoutError(`The peer answered none of ${inUse} handshakes within ${timeout}ms - it may be overloaded, if it is only slow raise maxNegotiationsPerPeer, which is ${maxNegotiations}, or queueTimeout`)
    case EARLY:
      return new QueueTimeoutError(`The peer answered nothing on the connection within ${timeout}ms, ${inUse} streams were opened on it - it may be overloaded, if it is only slow raise queueTimeout`)
    case MUXER:
      return new QueueTimeoutError(`The connection has as many streams as its muxer allows, and none was closed within ${timeout}ms - close those that are not needed any more, or raise maxOutboundStreams of the muxer, if the peer accepts more`)
    default: {
      const { max, option } = call.streamLimit(key)

      return new QueueTimeoutError(`None of the ${inUse} open streams of ${key} was closed within ${timeout}ms - close those that are not needed any more, or raise ${option}, which is ${max}, if the peer accepts more`)
    }
  }
}
