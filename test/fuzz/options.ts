import fc from 'fast-check'
import { connectIdentified, createOpenerNode, createStockNode, stopNodes } from '../support/nodes.ts'
import { ECHO, echo } from '../support/streams.ts'
import { TARGETS } from './option-targets.ts'
import { becomes, check, messageOf } from './promises.ts'
import { record } from './record.ts'
import { timersLeft } from './timers.ts'
import { turn } from '../support/wait.ts'
import type { Fuzzer } from './fuzzer.ts'
import type { Nodes, Target } from './option-targets.ts'

/**
 * How long a call may take that does nothing, in ms
 */
const LIMIT = 2_000

/**
 * What cannot be converted to a string, or does something else that is nasty
 */
const NASTY: Record<string, unknown> = {
  'an object without a prototype': Object.create(null),
  'a toString that throws': { toString: () => { throw new Error('toString') }, valueOf: () => { throw new Error('valueOf') } },
  'a toString that is none': { toString: 1, valueOf: 1 },
  'a Proxy that throws': new Proxy({}, { get: () => { throw new Error('get') }, getPrototypeOf: () => { throw new Error('getPrototypeOf') } }),
  'a symbol': Symbol('symbol'),
  'a symbol in an array': [Symbol('symbol')],
  'an array of itself': (() => {
    const array: unknown[] = []
    array.push(array)

    return array
  })(),
  'a long string': 'x'.repeat(100_000),
  'a Number': Object(5),
  'a Boolean': Object(true),
  'a function': () => true,
  'almost an option': ['identified '],
  'an array with a hole': Object.assign([], { 1: 'tcp' }),
  NaN,
  '2 ** 31': 2 ** 31
}

interface OptionsCase {
  target: string

  /**
   * Without one, there is null in the place of all options
   */
  option?: string
  value: { nasty: string } | { any: unknown }
}

const NAMES = Object.entries(TARGETS).flatMap(([target, { options }]) => [undefined, ...Object.keys(options)].map(option => ({ target, option })))

const value = fc.oneof(
  record({ nasty: fc.constantFrom(...Object.keys(NASTY)) }),
  record({ any: fc.anything({ withBigInt: true, withBoxedValues: true, withDate: true, withNullPrototype: true, withObjectString: true, withSparseArray: true, withTypedArray: true }) })
)

/**
 * What came of it, at once if it is over already
 */
interface Outcome {
  isOver: boolean
  error?: unknown
}

function call (target: Target, options: unknown, nodes: Nodes): Outcome {
  const outcome: Outcome = { isOver: false }
  const onOver = (error?: unknown): void => {
    outcome.isOver = true
    outcome.error = error
  }

  try {
    const called = target.call(options, nodes)

    if (called instanceof Promise) {
      called.then(() => { onOver() }, onOver)
    } else {
      onOver()
    }
  } catch (err) {
    onOver(err)
  }

  return outcome
}

async function play ({ target: name, option, value }: OptionsCase, nodes: Nodes): Promise<void> {
  const target = TARGETS[name]

  if (target == null) {
    throw new Error('There is no such target')
  }

  const garbage = 'nasty' in value ? NASTY[value.nasty] : value.any

  if (option != null && (garbage == null || target.options[option]?.(garbage) === true)) {
    return
  }

  const what = option == null ? `${name} with null for options` : `${name} with garbage for ${option}`
  const streams = nodes.connection.streams.length
  const outcome = call(target, option == null ? null : { [option]: garbage }, nodes)

  check(name !== 'streamOpener' || outcome.isOver, `${what} does not throw at once`)
  await turn()
  check(await becomes(() => outcome.isOver, LIMIT), `${what} does not settle`)

  const { error } = outcome

  check(error instanceof Error && error.name === 'InvalidParametersError', `${what} does not give an InvalidParametersError but ${error == null ? 'does it' : messageOf(error)}`)
  check(nodes.connection.streams.length === streams && nodes.stream.status === 'open', `${what} has done something before it was refused`)
}

export const options: Fuzzer<OptionsCase> = {
  name: 'options',
  about: 'Every option of everything that has options with garbage: it is an InvalidParametersError at once, and nothing is done',
  cases: fc.tuple(fc.constantFrom(...NAMES), value).map(([name, value]) => ({ ...name, value })),
  long: 20_000,
  start: async () => {
    const timers = timersLeft()
    const dialer = await createOpenerNode()
    const listener = await createStockNode('memory')

    await listener.handle(ECHO, echo)

    const { streamOpener } = dialer.services
    const connection = await connectIdentified(dialer, listener)
    const session = await streamOpener.openBulkSession(listener.peerId, ECHO)
    const stream = await streamOpener.newStreamOn(connection, ECHO)
    const nodes = { dialer, listener, connection, session, stream }

    return {
      play: async input => play(input, nodes),
      stop: async () => {
        const { open, negotiating, queued } = streamOpener.status(listener.peerId)

        stream.abort(new Error('The cases are over'))
        await stopNodes(dialer, listener)
        check(open === 1 && negotiating === 0 && queued === 0, 'something is left', { open, negotiating, queued })
        await timers.checkNoneAreLeft()
      }
    }
  }
}
