/**
 * What works with stock works with this: last messages
 */
import { describe, it } from 'vitest'
import { takeNote } from './like-stock/arrivals.ts'
import { expectAsOftenAsStock } from './like-stock/expect.ts'
import { GOODBYES, roundsOver, sayGoodbye } from './like-stock/goodbyes.ts'
import { useWorld } from './like-stock/use-world.ts'
import { placeOf, WORLDS } from './like-stock/world.ts'
import { sampled } from './support/rounds.ts'

const NOTE = 'takes note'

describe.each(WORLDS)('over %s with %s, the last message of a program', (transport, muxer) => {
  const world = useWorld(transport, muxer, { [NOTE]: takeNote })

  // mplex has no end of its own that could come too early
  it.each(sampled(GOODBYES.filter(([, end]) => muxer === 'yamux' || end === 'connection.close()'), placeOf(transport, muxer), 6))('that %s, followed by %s, arrives', async (...goodbye) => {
    await expectAsOftenAsStock(world(), roundsOver(transport), async (side, round) => sayGoodbye(side, NOTE, round, goodbye))
  })
})
