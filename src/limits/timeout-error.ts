import { EARLY, HANDSHAKE, MUXER } from './limit.ts'
import { QueueTimeoutError } from '../errors.ts'
import type { Need } from './limit.ts'

/**
 * Says what a call has waited for in vain, how many of it there are, and what to do
 * about it
 */
export function createTimeoutError ({ key, max, option }: Need, inUse: number, timeout: number): QueueTimeoutError {
  switch (key) {
    case HANDSHAKE:
      return new QueueTimeoutError(`The peer answered none of ${inUse} handshakes within ${timeout}ms - it may be overloaded, if it is only slow raise ${option}, which is ${max}, or queueTimeout`)
    case EARLY:
      return new QueueTimeoutError(`The peer answered nothing on the connection within ${timeout}ms, ${inUse} streams were opened on it - it may be overloaded, if it is only slow raise queueTimeout`)
    case MUXER:
      return new QueueTimeoutError(`The connection has as many streams as its muxer allows, and none was closed within ${timeout}ms - close those that are not needed any more, or raise maxOutboundStreams of the muxer, if the peer accepts more`)
    default:
      return new QueueTimeoutError(`None of the ${inUse} open streams of ${key} was closed within ${timeout}ms - close those that are not needed any more, or raise ${option}, which is ${max}, if the peer accepts more`)
  }
}
