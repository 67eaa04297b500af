import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { record } from './record.ts'
import { turns } from '../support/wait.ts'
import type { ReaderStyle } from './reader.ts'
import type { Stream, StreamHandler } from '@libp2p/interface'

async function answer (stream: Stream): Promise<void> {
  const request = new Uint8ArrayList()

  for await (const chunk of stream) {
    request.append(chunk)
  }

  stream.send(request)
  await stream.close()
}

/**
 * Each answers with what it got, in a way of its own
 */
export const HANDLERS: Record<string, StreamHandler> = {
  '/nodes/echo': async stream => {
    for await (const chunk of stream) {
      if (!stream.send(chunk)) {
        await stream.onDrain()
      }
    }

    await stream.close()
  },

  '/nodes/for-await': answer,

  '/nodes/late': async stream => {
    await turns(20)

    await answer(stream)
  },

  '/nodes/events': stream => {
    const request = new Uint8ArrayList()

    stream.addEventListener('remoteCloseWrite', () => {
      try {
        stream.send(request)
        stream.close().catch(() => {})
      } catch {
        // it has been killed
      }
    })
    stream.addEventListener('message', ({ data }) => { request.append(data) })
  }
}

const MISSING = '/nodes/missing'

export interface Open {
  do: 'open'

  /**
   * One of the two nodes
   */
  at: number
  how: 'newStream' | 'newStream by address' | 'newStreamOn' | 'dialProtocol' | 'connection.newStream' | 'openBulkStream'
  protocols: string[]
  options: {
    priority?: number
    queue?: boolean
    maxOutboundStreams?: number
    halfClose?: 'confirmed' | 'immediate'
    force?: boolean
  }

  /**
   * In ms
   */
  signal?: number
  bytes: number
  reader: ReaderStyle
  abort: boolean
}

/**
 * What happens to one of the two nodes. What is unhandled is handled again in the end.
 */
export type Step = Open
  | { do: 'kill', at: number, how: 'abort' | 'close' | 'hangUp' | 'lose' }
  | { do: 'unhandle' | 'handle', at: number, protocol: string }
  | { do: 'restart', at: number }
  | { do: 'turn' | 'finish' }
  | { do: 'wait', wait: number }

const at = fc.nat(1)
const protocol = fc.constantFrom(...Object.keys(HANDLERS))

const open = record<Open>({
  do: fc.constant('open'),
  at,
  how: fc.constantFrom('newStream', 'newStreamOn', 'newStream by address', 'dialProtocol', 'connection.newStream', 'openBulkStream'),
  protocols: fc.oneof(
    { weight: 5, arbitrary: protocol.map(protocol => [protocol]) },
    protocol.map(protocol => [MISSING, protocol]),
    protocol.map(protocol => [protocol, MISSING]),
    fc.constant<string[]>([MISSING])
  ),
  options: fc.record({
    priority: fc.nat(100),
    queue: fc.boolean(),
    maxOutboundStreams: fc.integer({ min: 1, max: 8 }),
    halfClose: fc.constantFrom('confirmed', 'immediate'),
    force: fc.boolean()
  }, { requiredKeys: [], noNullPrototype: true }),
  signal: fc.option(fc.nat(100), { nil: undefined, freq: 8 }),
  bytes: fc.constantFrom(1, 0, 100, 5_000, 100_000),
  reader: fc.constantFrom('for await', 'events'),
  abort: fc.nat(15).map(number => number === 15)
})

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: open },
  { weight: 3, arbitrary: record({ do: fc.constantFrom('turn', 'turn', 'finish') }) },
  { weight: 1, arbitrary: record({ do: fc.constant('wait' as const), wait: fc.nat(40) }) },
  { weight: 1, arbitrary: record({ do: fc.constant('kill' as const), at, how: fc.constantFrom('abort', 'close', 'hangUp', 'lose') }) },
  { weight: 1, arbitrary: record({ do: fc.constantFrom('unhandle', 'handle'), at, protocol }) },
  { weight: 1, arbitrary: record({ do: fc.constant('restart' as const), at }) }
) as fc.Arbitrary<Step>

/**
 * Whether all that is opened must succeed
 */
export function isCalm (steps: Step[]): boolean {
  return steps.every(({ do: what }) => ['open', 'turn', 'finish', 'wait'].includes(what))
}

export function mustSucceed ({ protocols, signal, options: { queue, force }, abort }: Open): boolean {
  return protocols.some(protocol => protocol !== MISSING) && signal == null && queue !== false && force !== true && !abort
}
