import { InvalidParametersError } from '@libp2p/interface'
import { MAX_MESSAGE_LENGTH } from './constants.ts'
import type { NegotiationOptions, StreamOpenerInit } from './index.ts'

const NEGOTIATIONS = ['identified', 'always', 'full']
const HALF_CLOSES = ['confirmed', 'immediate']

const textEncoder = new TextEncoder()

/**
 * A timer that is set for longer fires at once
 */
const MAX_TIMEOUT = 2 ** 31 - 1

/**
 * What the options of the service and those of a call come to. There is no
 * `negotiationTimeout` where nobody has set one, as libp2p has a default of its
 * own.
 */
export type Settings = Required<Omit<StreamOpenerInit, 'negotiationTimeout'>> & Pick<StreamOpenerInit, 'negotiationTimeout'>

const DEFAULTS: Settings = {
  negotiation: 'identified',
  halfClose: 'confirmed',
  resume: false
}

function reject (name: string, value: unknown, expected: string): never {
  throw new InvalidParametersError(`${name} must be ${expected}, got ${typeof value === 'string' ? `'${value}'` : String(value)}`)
}

function checkOneOf (name: string, value: string | undefined, values: string[]): void {
  if (value != null && !values.includes(value)) {
    reject(name, value, values.map(value => `'${value}'`).join(' or '))
  }
}

/**
 * What a call sets goes before the settings of the service
 */
export function readCallOptions ({ negotiationTimeout, halfClose, resume }: NegotiationOptions, settings: Settings = DEFAULTS): Settings {
  // nearly every call
  if (negotiationTimeout == null && halfClose == null && resume == null) {
    return settings
  }

  if (negotiationTimeout != null && !(Number.isInteger(negotiationTimeout) && negotiationTimeout > 0 && negotiationTimeout <= MAX_TIMEOUT)) {
    reject('negotiationTimeout', negotiationTimeout, `a whole number of ms from 1 to ${MAX_TIMEOUT}`)
  }

  if (resume != null && typeof resume !== 'boolean') {
    reject('resume', resume, 'true or false')
  }

  checkOneOf('halfClose', halfClose, HALF_CLOSES)

  return {
    negotiation: settings.negotiation,
    negotiationTimeout: negotiationTimeout ?? settings.negotiationTimeout,
    halfClose: halfClose ?? settings.halfClose,
    resume: resume ?? settings.resume
  }
}

export function readInit (init: StreamOpenerInit): Settings {
  checkOneOf('negotiation', init.negotiation, NEGOTIATIONS)

  return {
    ...readCallOptions(init),
    negotiation: init.negotiation ?? DEFAULTS.negotiation
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

  return list.map(protocol => {
    if (typeof protocol !== 'string' || protocol === '' || protocol.includes('\n') || isTooLong(protocol)) {
      reject('a protocol', protocol, `a string of 1 to ${MAX_MESSAGE_LENGTH - 1} bytes without newlines`)
    }

    return protocol
  })
}
