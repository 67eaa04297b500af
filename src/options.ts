import { InvalidParametersError } from '@libp2p/interface'
import { MAX_MESSAGE_LENGTH, MAX_NEGOTIATIONS_PER_PEER, MAX_QUEUED_PER_PEER, MAX_STREAMS_PER_PROTOCOL, MAX_TIMEOUT, QUEUE_TIMEOUT } from './constants.ts'
import type { OpenStreamOnOptions, StreamOpenerInit } from './types.ts'
import type { AbortOptions } from '@libp2p/interface'

interface CommonOptions extends AbortOptions {
  onProgress?(evt: any): void
}

type CallOptions = Omit<OpenStreamOnOptions, 'onProgress'>

/**
 * Those that may depend on the protocol
 */
const PER_PROTOCOL = {
  negotiation: ['identified', 'always', 'full'],
  halfClose: ['confirmed', 'immediate'],
  earlyWrites: ['all', 'first']
}

type PerProtocolName = keyof typeof PER_PROTOCOL

const textEncoder = new TextEncoder()

/**
 * What the options of the service and those of a call come to. Where nobody has
 * set these there is no
 *
 * - `negotiationTimeout`, as libp2p has a default of its own
 * - `halfClose`, as it depends on the peer
 * - `earlyWrites`, as it depends on who opens the stream
 */
type Dependent = 'negotiationTimeout' | 'halfClose' | 'earlyWrites'

export type Settings = Required<Omit<StreamOpenerInit, Dependent>> & Pick<StreamOpenerInit, Dependent>

const DEFAULTS: Settings = {
  negotiation: 'identified',
  resume: false,
  queue: true,
  queueTimeout: QUEUE_TIMEOUT,
  maxStreamsPerProtocol: MAX_STREAMS_PER_PROTOCOL,
  maxNegotiationsPerPeer: MAX_NEGOTIATIONS_PER_PEER,
  maxQueuedPerPeer: MAX_QUEUED_PER_PEER,
  intercept: false,
  listenerGuard: true,
  quicReads: true
}

/**
 * Objects need not have a `toString`, or one that works
 */
function print (value: unknown): string {
  try {
    return typeof value === 'string' ? `'${value}'` : String(value)
  } catch {
    return `an ${typeof value}`
  }
}

export function reject (name: string, value: unknown, expected: string): never {
  throw new InvalidParametersError(`${name} must be ${expected}, got ${print(value)}`)
}

/**
 * What all calls take. What is left out is an empty object by now.
 */
export function checkOptions (options: object | null): void {
  if (typeof options !== 'object' || options == null) {
    reject('the options', options, 'an object')
  }

  const { signal, onProgress } = options as CommonOptions

  if (signal != null && typeof signal.addEventListener !== 'function') {
    reject('signal', signal, 'an AbortSignal')
  }

  if (onProgress != null && typeof onProgress !== 'function') {
    reject('onProgress', onProgress, 'a function')
  }
}

export function checkOneOf (name: string, value: string | undefined, values: string[]): void {
  if (value != null && !values.includes(value)) {
    reject(name, value, values.map(value => `'${value}'`).join(' or '))
  }
}

export function checkBoolean (name: string, value: boolean | undefined): void {
  if (value != null && typeof value !== 'boolean') {
    reject(name, value, 'true or false')
  }
}

export function checkTimeout (name: string, value: number | undefined): void {
  if (value != null && !(Number.isInteger(value) && value > 0 && value <= MAX_TIMEOUT)) {
    reject(name, value, `a whole number of ms from 1 to ${MAX_TIMEOUT}`)
  }
}

export function checkCount (name: string, value: number | undefined, least: number): void {
  if (value != null && value !== Infinity && !(Number.isInteger(value) && value >= least)) {
    reject(name, value, `a whole number from ${least}, or Infinity`)
  }
}

/**
 * What the option is for the protocol
 */
export function optionFor <Name extends PerProtocolName> (settings: Settings, name: Name, protocol: string): Exclude<Settings[Name], (...args: any[]) => any> {
  const option = settings[name]
  const value: any = typeof option === 'function' ? option(protocol) : option

  if (value !== option) {
    checkOneOf(`${name} of ${protocol}`, value, PER_PROTOCOL[name])
  }

  return value ?? DEFAULTS[name]
}

function checkPerProtocol (name: PerProtocolName, value: unknown): void {
  if (typeof value !== 'function') {
    checkOneOf(name, value as string | undefined, PER_PROTOCOL[name])
  }
}

function checkIntercept (intercept: StreamOpenerInit['intercept']): void {
  if (Array.isArray(intercept)) {
    if (intercept.length > 0) {
      readProtocols(intercept)
    }
  } else if (typeof intercept !== 'function' && intercept != null && typeof intercept !== 'boolean') {
    reject('intercept', intercept, 'true, false, protocols, or a function')
  }
}

/**
 * What a call sets goes before the settings of the service
 */
export function readCallOptions (options: CallOptions, settings: Settings = DEFAULTS): Settings {
  checkOptions(options)

  const { negotiationTimeout, halfClose, earlyWrites, resume, queue, queueTimeout, priority, maxOutboundStreams } = options

  if (priority != null && !Number.isFinite(priority)) {
    reject('priority', priority, 'a number')
  }

  checkCount('maxOutboundStreams', maxOutboundStreams, 0)

  // nearly every call
  if (negotiationTimeout == null && halfClose == null && earlyWrites == null && resume == null && queue == null && queueTimeout == null) {
    return settings
  }

  checkTimeout('negotiationTimeout', negotiationTimeout)
  checkTimeout('queueTimeout', queueTimeout)
  checkBoolean('resume', resume)
  checkBoolean('queue', queue)
  checkPerProtocol('halfClose', halfClose)
  checkPerProtocol('earlyWrites', earlyWrites)

  return {
    ...settings,
    negotiationTimeout: negotiationTimeout ?? settings.negotiationTimeout,
    halfClose: halfClose ?? settings.halfClose,
    earlyWrites: earlyWrites ?? settings.earlyWrites,
    resume: resume ?? settings.resume,
    queue: queue ?? settings.queue,
    queueTimeout: queueTimeout ?? settings.queueTimeout
  }
}

export function readInit (init: StreamOpenerInit): Settings {
  checkOptions(init)
  checkPerProtocol('negotiation', init.negotiation)
  checkCount('maxStreamsPerProtocol', init.maxStreamsPerProtocol, 1)
  checkCount('maxNegotiationsPerPeer', init.maxNegotiationsPerPeer, 1)
  checkCount('maxQueuedPerPeer', init.maxQueuedPerPeer, 0)
  checkBoolean('listenerGuard', init.listenerGuard)
  checkBoolean('quicReads', init.quicReads)
  checkIntercept(init.intercept)

  return {
    ...readCallOptions(init),
    negotiation: init.negotiation ?? DEFAULTS.negotiation,
    maxStreamsPerProtocol: init.maxStreamsPerProtocol ?? DEFAULTS.maxStreamsPerProtocol,
    maxNegotiationsPerPeer: init.maxNegotiationsPerPeer ?? DEFAULTS.maxNegotiationsPerPeer,
    maxQueuedPerPeer: init.maxQueuedPerPeer ?? DEFAULTS.maxQueuedPerPeer,
    intercept: init.intercept ?? DEFAULTS.intercept,
    listenerGuard: init.listenerGuard ?? DEFAULTS.listenerGuard,
    quicReads: init.quicReads ?? DEFAULTS.quicReads
  }
}

/**
 * A character takes up to 3 bytes
 */
function isTooLong (protocol: string): boolean {
  return protocol.length * 3 >= MAX_MESSAGE_LENGTH && textEncoder.encode(protocol).byteLength >= MAX_MESSAGE_LENGTH
}

export function readProtocols (protocols: string | string[] | undefined): string[] {
  const list = Array.isArray(protocols) ? protocols : [protocols]

  if (protocols == null || list.length === 0) {
    throw new InvalidParametersError('no protocols were provided to open a stream')
  }

  for (const protocol of list) {
    if (typeof protocol !== 'string' || protocol === '' || protocol.includes('\n') || isTooLong(protocol)) {
      reject('a protocol', protocol, `a string of 1 to ${MAX_MESSAGE_LENGTH - 1} bytes without newlines`)
    }
  }

  return list.length === 1 ? list as string[] : [...new Set(list as string[])]
}
