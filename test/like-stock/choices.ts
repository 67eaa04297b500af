/**
 * Programs that ask for several protocols, in the order in which they would like to
 * have them
 */
import { identify } from '@libp2p/identify'
import { bytes, echo, exchange } from '../support/streams.ts'
import { observe } from './observe.ts'
import type { NewDialer, Side } from './side.ts'
import type { World } from './world.ts'
import type { NewStreamOptions } from '@libp2p/interface'

const A = 'a'
const B = 'b'
const C = 'c'

const ALL = [A, B, C]

export const ORDERS = [[A, B, C], [A, C, B], [B, A, C], [B, C, A], [C, A, B], [C, B, A]]

/**
 * Where each takes a connection of its own
 */
export const FEW_ORDERS = [[A, B, C], [B, A, C], [C, B, A]]

/**
 * What a listener may speak
 */
export const SUBSETS = [[], [A], [B], [C], [A, B], [A, C], [B, C], ALL].map(speaks => ({ speaks }))

/**
 * What listeners say in identify, what they speak then, and what the program has used in
 * between
 */
export const ADDED = [
  { said: [C], speaks: ALL, used: [] },
  { said: [C], speaks: ALL, used: [C] },
  { said: [B], speaks: [A, B], used: [B] },
  { said: [], speaks: [A, C], used: [] }
]

export const DROPPED = [
  { said: ALL, speaks: [B, C] },
  { said: ALL, speaks: [C] },
  { said: [A], speaks: [] }
]

/**
 * Without identify
 */
export const UNIDENTIFIED = [
  { speaks: ALL, used: [] },
  { speaks: ALL, used: [C] },
  { speaks: ALL, used: [B] },
  { speaks: ALL, used: [C, B] },
  { speaks: [B, C], used: [C] }
]

/**
 * Has the listeners speak these and none of the others, without telling anybody
 */
export async function speak (world: World, protocols: string[]): Promise<void> {
  for (const listener of world.listeners) {
    await listener.unhandle(ALL.filter(protocol => listener.getProtocols().includes(protocol)))
    await listener.handle(protocols, echo, { maxInboundStreams: 1_000 })
  }
}

/**
 * Has the dialers get what the listeners say on new connections, and use these
 */
export async function reconnect (sides: Side[], used: string[]): Promise<void> {
  await Promise.all(sides.map(async side => {
    await side.reconnect()

    for (const protocol of used) {
      await choose(side, [protocol])
    }
  }))
}

/**
 * Which protocol a program gets
 */
export async function choose (side: Side, protocols: string[], options?: NewStreamOptions, dialer?: NewDialer): Promise<string> {
  return observe(async ({ note, receive }) => {
    const stream = await side.open(protocols, options, dialer)
    note(stream.protocol)
    receive(await exchange(stream, bytes('hello')))
  })
}

/**
 * Which protocols a program gets on a connection that is never identified, after it has
 * used some
 */
export async function chooseUnidentified (side: Side, used: string[], protocols: string[]): Promise<string> {
  const dialer = await side.newDialer('unidentified', { services: { identify: identify({ runOnConnectionOpen: false }) } })

  for (const protocol of used) {
    await choose(side, [protocol], {}, dialer)
  }

  const seen = await choose(side, protocols, {}, dialer)
  await dialer.node.stop()

  return seen
}
