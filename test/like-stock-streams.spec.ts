/**
 * What works with stock works with this: what is written, and which protocol it is
 * written to
 */
import { describe, expect, it } from 'vitest'
import { ADDED, choose, chooseUnidentified, DROPPED, FEW_ORDERS, ORDERS, reconnect, speak, SUBSETS, UNIDENTIFIED } from './like-stock/choices.ts'
import { expectLikeStock, expectOf } from './like-stock/expect.ts'
import { countJoined, isJoined, PAUSES, takeFirst, takeMessages, writeMessages, writeWhileHeld } from './like-stock/messages.ts'
import { useWorld } from './like-stock/use-world.ts'
import { placeOf, WORLDS } from './like-stock/world.ts'
import { rounds, sampled } from './support/rounds.ts'

const MESSAGES = 'takes messages'
const WRITES = rounds(400, 4)

describe.each(WORLDS)('over %s with %s, the writes of a program', (transport, muxer) => {
  const world = useWorld(transport, muxer, { [MESSAGES]: takeMessages })

  it.each(Object.keys(PAUSES))('%s arrive as the messages that they are with stock, if it has not asked for speed', async pause => {
    await expectLikeStock(world(), [pause], {
      run: async side => writeMessages(side, MESSAGES, pause),
      // over QUIC there are none
      isAsGood: (seen, { how }) => (how === 'newStream' || transport === 'quic') && isJoined(seen)
    })
  })

  // in memory there is nothing to hold
  if (transport !== 'memory') {
    it('wait for the peer but for the first, if it has not asked for speed, and `drain` says when they do not', async () => {
      await expectOf(world().ours, {
        run: async side => writeWhileHeld(side, MESSAGES),
        // others do not wait for the peer, but for QUIC
        isGood: (seen, { how }) => how === 'intercept'
          ? seen === 'send() returns false, drains later, ends'
          : seen === 'send() returns true, has drained, ends' || (transport === 'quic' && seen.endsWith('ends'))
      })
    })
  }
})

// what comes before a handler listens is joined, and over QUIC stock may be too early as well
describe('over quic, the first write of a program that has not asked for speed', () => {
  const FIRST = 'takes the first message'
  const world = useWorld('quic', 'yamux', { [FIRST]: takeFirst })

  it('is as rarely joined with the second as with stock', async () => {
    const { stock, ours } = world()
    const ofStock = await countJoined(stock, FIRST, WRITES)

    for (const side of ours.filter(({ how }) => how === 'intercept')) {
      // stock does so with up to ten in a hundred on a busy machine
      expect(await countJoined(side, FIRST, WRITES), side.name).toBeLessThanOrEqual(ofStock + WRITES / 10)
    }
  })
})

// which one it is has nothing to do with the transport
describe.each(WORLDS.slice(0, 2))('over %s with %s, of several protocols a program gets the one that it gets with stock', (transport, muxer) => {
  const world = useWorld(transport, muxer, {})

  it.each(SUBSETS)('from a listener that speaks $speaks', async ({ speaks }) => {
    await speak(world(), speaks)

    for (const order of sampled(ORDERS, placeOf(transport, muxer) + speaks.length, 6)) {
      await expectLikeStock(world(), [`${order}`], { run: async side => choose(side, order) })
    }
  })

  // who asked for speed does not know what the peer has begun to speak without saying so
  it.each(ADDED)('from a listener that has said that it speaks $said, and speaks $speaks, if the program has not asked for speed, and has used $used', async ({ said, speaks, used }) => {
    for (const order of sampled(FEW_ORDERS, placeOf(transport, muxer) + used.length + speaks.length, 3)) {
      await expectLikeStock(world(), [`${order}`], {
        prepare: async sides => {
          await speak(world(), said)
          await reconnect(sides, used)
          await speak(world(), speaks)
        },
        skips: ({ how }) => how === 'newStream',
        run: async side => choose(side, order)
      })
    }
  })

  it.each(UNIDENTIFIED)('from a listener that has said nothing, and speaks $speaks, if the program has used $used', async ({ speaks, used }) => {
    await speak(world(), speaks)

    for (const order of sampled(FEW_ORDERS, placeOf(transport, muxer) + used.length + speaks.length, 3)) {
      await expectLikeStock(world(), [`${order}`], { run: async side => chooseUnidentified(side, used, order) })
    }
  })

  it.each(DROPPED)('with `negotiateFully`, from a listener that has said that it speaks $said, and speaks $speaks', async ({ said, speaks }) => {
    for (const order of sampled([...ORDERS, ...ORDERS.map(order => order.slice(0, 1))], placeOf(transport, muxer) + speaks.length, 10)) {
      await expectLikeStock(world(), [`${order}`], {
        prepare: async sides => {
          await speak(world(), said)
          await reconnect(sides, [])
          await speak(world(), speaks)
        },
        run: async side => choose(side, order, { negotiateFully: true })
      })
    }
  })
})
