/**
 * What works with stock works with this. Each case is a program of a few lines, and
 * what is expected of it is what it did with stock a moment before. To add a case,
 * add a line to a table in test/like-stock.
 */
import { afterAll, beforeAll, describe, it } from 'vitest'
import { ANSWERS, ANSWERS_ELSEWHERE } from './like-stock/answers.ts'
import { closeThenListen, closeThenRead, STARTS } from './like-stock/close-then-read.ts'
import { expectLikeStock } from './like-stock/expect.ts'
import { READERS } from './like-stock/readers.ts'
import { createWorld, WORLDS } from './like-stock/world.ts'
import type { World } from './like-stock/world.ts'

const ALL_STARTS = Object.keys(STARTS)
const STARTS_IN_TIME = ALL_STARTS.filter(start => STARTS[start]?.isLate !== true)

/**
 * What these do the others do as well
 */
const FEW_READERS = Object.entries(READERS).filter(([name]) => ['for await', 'byteStream', 'message and close'].includes(name))

describe.each(WORLDS)('over %s with %s, a program that closes its end first', (transport, muxer) => {
  let world: World

  beforeAll(async () => {
    world = await createWorld(transport, muxer, { ...ANSWERS, ...ANSWERS_ELSEWHERE })
  })

  afterAll(async () => {
    await world.stop()
  })

  describe.each(Object.keys(ANSWERS))('and reads then what a listener sends that %s', answer => {
    it.each(Object.entries(READERS))('with %s', async (_, read) => {
      await expectLikeStock(world, answer, ALL_STARTS, async (side, start) => closeThenRead(side, answer, read, start))
    })
  })

  describe.each(Object.keys(ANSWERS))('straight after the dial, and reads then what a listener sends that %s', answer => {
    it.each(FEW_READERS)('with %s', async (_, read) => {
      await expectLikeStock(world, answer, ['at once'], async (side, start) => closeThenRead(side, answer, read, start), async side => side.redial())
    })
  })

  it.each(Object.keys(ANSWERS_ELSEWHERE))('and listens then for what a listener %s', async answer => {
    await expectLikeStock(world, answer, STARTS_IN_TIME, async (side, start) => closeThenListen(side, answer, start))
  })
})
