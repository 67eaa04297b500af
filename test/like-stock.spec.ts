/**
 * What works with stock works with this: programs that close their end first. Each case
 * of this suite is a program of a few lines, and what is expected of it is what it did
 * with stock a moment before. To add a case, add a line to a table in test/like-stock.
 */
import { describe, it } from 'vitest'
import { ANSWERS, ANSWERS_ELSEWHERE, isAsGoodWith } from './like-stock/answers.ts'
import { takeNote } from './like-stock/arrivals.ts'
import { closeWhileHeld, WRITES } from './like-stock/close.ts'
import { closeThenListen, closeThenRead, isTooLate, STARTS } from './like-stock/close-then-read.ts'
import { expectLikeStock } from './like-stock/expect.ts'
import { READERS } from './like-stock/readers.ts'
import { useWorld } from './like-stock/use-world.ts'
import { placeOf, WORLDS } from './like-stock/world.ts'
import { sampled } from './support/rounds.ts'
import type { Side } from './like-stock/side.ts'

/**
 * The protocol of a listener that takes note of what arrives
 */
const NOTE = 'takes note'

/**
 * What these do the others do as well
 */
const FEW_ANSWERS = ['answers and ends', 'ends without an answer', 'answers at the end of the request', 'resets when it has the request']
const FEW_READERS = Object.entries(READERS).filter(([name]) => ['for await', 'message and close'].includes(name))

const redial = async (sides: Side[]): Promise<unknown> => Promise.all(sides.map(async side => side.redial()))

describe.each(WORLDS)('over %s with %s, a program that closes its end first', (transport, muxer) => {
  const world = useWorld(transport, muxer, { ...ANSWERS, ...ANSWERS_ELSEWHERE, [NOTE]: takeNote })

  describe.each(Object.keys(ANSWERS))('and reads then what a listener sends that %s', answer => {
    it.each(sampled(Object.entries(READERS), placeOf(transport, muxer) + Object.keys(ANSWERS).indexOf(answer), WORLDS.length))('with %s', async (reader, read) => {
      await expectLikeStock(world(), Object.keys(STARTS), {
        run: async (side, start) => closeThenRead(side, answer, read, start),
        skips: isTooLate,
        isAsGood: isAsGoodWith(answer, reader)
      })
    })
  })

  describe.each(FEW_ANSWERS)('straight after the dial, and reads then what a listener sends that %s', answer => {
    it.each(sampled(FEW_READERS, placeOf(transport, muxer) + FEW_ANSWERS.indexOf(answer), 2))('with %s', async (reader, read) => {
      await expectLikeStock(world(), ['at once'], {
        run: async (side, start) => closeThenRead(side, answer, read, start),
        prepare: redial,
        isAsGood: isAsGoodWith(answer, reader)
      })
    })
  })

  it.each(Object.keys(ANSWERS_ELSEWHERE))('and listens then for what a listener %s', async answer => {
    await expectLikeStock(world(), ['at once', 'after a turn'], {
      run: async (side, start) => closeThenListen(side, answer, start),
      skips: ({ isFar }, start) => !isFar && start !== 'at once'
    })
  })
  // in memory there is nothing to hold
  if (transport !== 'memory') {
    it.each(Object.keys(WRITES))('is done with it before anything comes back, having written %s', async write => {
      await expectLikeStock(world(), [write], { run: async side => closeWhileHeld(side, NOTE, write) })
      await expectLikeStock(world(), [write], { run: async side => closeWhileHeld(side, NOTE, write), prepare: redial })
    })
  }
})
