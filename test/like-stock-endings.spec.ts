/**
 * What works with stock works with this: streams that are over. Where stock has no
 * counterpart, as its streams are not handed out before the peer has confirmed them, it
 * is written down what is expected.
 */
import { beforeAll, describe, it, vi } from 'vitest'
import { handleRaw } from './support/raw-listener.ts'
import { rounds, sampled } from './support/rounds.ts'
import { ANSWERS } from './like-stock/answers.ts'
import { reconnect } from './like-stock/choices.ts'
import { closeThenRead, STARTS } from './like-stock/close-then-read.ts'
import { answerOne, closeThenReset, closeWhileWaiting, refuseLate, REFUSALS, requestInTurn } from './like-stock/endings.ts'
import { expectLikeStock, expectOf } from './like-stock/expect.ts'
import { READERS } from './like-stock/readers.ts'
import { useWorld } from './like-stock/use-world.ts'
import { placeOf, WORLDS } from './like-stock/world.ts'
import type { Side } from './like-stock/side.ts'

const RESETS = 'resets when it has the request'
const ONE = 'answers one at a time'
const REQUESTS = rounds(100)

/**
 * Who only listens for `end` is not told of errors, with stock neither
 */
const ALL_READERS = Object.entries(READERS).filter(([name]) => name !== 'message and end')

describe.each(WORLDS)('over %s with %s', (transport, muxer) => {
  const world = useWorld(transport, muxer, {})
  const ours = (): Side[] => world().ours.filter(({ how }) => how !== 'stock')

  beforeAll(async () => {
    for (const listener of world().listeners) {
      await handleRaw(listener, 'reads nothing', stream => { stream.pause() })

      for (const [name, refuse] of Object.entries(REFUSALS)) {
        await handleRaw(listener, `reads nothing and ${name}`, stream => { void refuseLate(stream, () => { refuse(stream, listener) }) })
      }
    }
  })

  // where nothing bounds what is on its way, all of it has been passed on
  const isGood = (seen: string): boolean => /^close\(\) rejects with \w+Error, ends$/.test(seen) || ((transport === 'quic' || muxer === 'mplex') && seen === 'close() resolves, ends')

  it.each(sampled(Object.keys(REFUSALS), placeOf(transport, muxer)))('close() rejects with an Error where the listener reads nothing and %s', async refusal => {
    await expectOf(ours(), { run: async side => closeWhileWaiting(side, `reads nothing and ${refusal}`), isGood })
  })

  it('close() rejects with an Error where the listener reads nothing, and never answers', async () => {
    // who does not ask for it has to wait for 10 seconds
    await expectOf(ours().filter(({ how }) => how === 'newStream'), {
      // a link that was to be cut before may be cut only now
      prepare: async sides => reconnect(sides, []),
      run: async side => closeWhileWaiting(side, 'reads nothing'),
      isGood
    })
  })
})

// where there are streams of the muxer's, and where there are those of the transport
describe.each(WORLDS.filter(([transport, muxer]) => muxer === 'yamux' && ['tcp', 'quic'].includes(transport)))('over %s with %s', (transport, muxer) => {
  const world = useWorld(transport, muxer, {})
  const ours = (): Side[] => world().ours.filter(({ how }) => how !== 'stock')

  beforeAll(async () => {
    for (const listener of world().listeners) {
      for (const [name, refuse] of Object.entries(REFUSALS)) {
        await handleRaw(listener, name, stream => { refuse(stream, listener) })
      }
    }
  })

  describe.each(Object.keys(REFUSALS))('a program sees an error, and no success without an answer, where the listener %s instead of confirming the protocol', refusal => {
    it.each(sampled(ALL_READERS, placeOf(transport, muxer) + Object.keys(REFUSALS).indexOf(refusal), 8))('with %s', async (_, read) => {
      for (const start of Object.keys(STARTS)) {
        await expectOf(ours(), {
          run: async side => closeThenRead(side, refusal, read, start),
          // that is what readers say at an end as well
          isGood: seen => seen.includes('fails with') && !seen.includes('fails with UnexpectedEOFError')
        }, [start])
      }
    })
  })
})

describe.each(WORLDS)('over %s with %s, when a stream is over', (transport, muxer) => {
  const world = useWorld(transport, muxer, { [RESETS]: ANSWERS[RESETS] ?? (async () => {}) })

  it('there is room for the next one, where the listener takes one at a time', async () => {
    for (const listener of world().listeners) {
      await listener.handle(ONE, answerOne, { maxInboundStreams: 1 })
    }

    await expectLikeStock(world(), [''], {
      run: async side => requestInTurn(side, ONE, REQUESTS),
      // over QUIC, where the end of one may come after the next one, stock loses one in a while
      isAsGood: seen => transport === 'quic' && parseInt(seen) >= REQUESTS * 0.95
    })
  })

  // over QUIC a reset looks like an end
  if (transport !== 'quic') {
    it('as the listener has reset it, no end follows', async () => {
      await expectLikeStock(world(), [''], { run: async side => closeThenReset(side, RESETS) })
      vi.restoreAllMocks()
    })
  }
})
