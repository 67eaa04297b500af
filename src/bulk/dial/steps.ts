import type { AddressScope, BulkAttempt } from '../types.ts'
import type { Choice } from '../options.ts'
import type { TransportName } from '../../types.ts'

/**
 * What a connection has to be like, where it is not to be like that of the step before
 */
export interface Step {
  name: BulkAttempt['transport']
  scope?: AddressScope
  fallback: boolean
}

/**
 * In the order in which they are taken
 */
export function stepsOf ({ transports, scope, fallback }: Choice): Step[] {
  const steps: Step[] = transports.map(name => ({ name, scope, fallback: false }))

  if (fallback !== 'none') {
    steps.push({ name: 'any', fallback: true })
  }

  if (fallback === 'relay') {
    steps.push({ name: 'relay', fallback: true })
  }

  return steps
}

export function suits ({ name, scope }: Step, transport: TransportName, at: AddressScope | undefined): boolean {
  return (name === 'any' ? transport !== 'relay' : name === transport) && (scope == null || scope === at)
}
