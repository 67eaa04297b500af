import { pipe } from 'it-pipe'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { byteStream } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, identified, stopNodes, TRANSPORTS } from './support/nodes.ts'
import { rounds } from './support/rounds.ts'
import { bytes, closed, ECHO, echo, exchange, pattern, readAll, replacedMethods, sendAll } from './support/streams.ts'
import { turn } from './support/wait.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Connection, Libp2p, Stream, StreamMessageEvent } from '@libp2p/interface'

const SPEAK_FIRST = '/speak-first/1.0.0'
const COLLECT = '/collect/1.0.0'
const SOURCE = '/source/1.0.0'

/**
 * What a muxer calls when it is full, and when it is not any more
 */
type Drainable = Stream & { onMuxerNeedsDrain(): void, onMuxerDrain(): void }

/**
 * A QUIC listener does not give back the room of each stream that was aborted after its
 * FIN, and a connection has room for 256, see test/interop/upstream/js-libp2p-quic-aborted.md
 */
const ABORTED_ROUNDS = 50

/**
 * Runs it again and again, many at once
 */
async function repeat (fn: (round: number) => Promise<void>, times = rounds(200), concurrency = 10): Promise<void> {
  let next = 0

  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (next < times) {
      await fn(next++)
    }
  }))
}

describe.each(TRANSPORTS)('an optimistic stream over %s', transport => {
  let dialer: Libp2p<OpenerServices>
  let listener: Libp2p
  const collected = new Map<string, () => void>()

  beforeAll(async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await listener.handle(ECHO, echo)
    await listener.handle(SPEAK_FIRST, async stream => {
      stream.send(bytes('welcome'))
      await stream.close()
    })
    // answers when the request has ended
    await listener.handle(COLLECT, async stream => {
      const received = await readAll(stream)
      collected.get(new TextDecoder().decode(received))?.()
      stream.send(received)
      await stream.close()
    })
    await listener.handle(SOURCE, async stream => {
      await sendAll(stream, pattern(500_000))
      await stream.close()
    })
    await connectIdentified(dialer, listener)
  })

  afterAll(async () => {
    await stopNodes(dialer, listener)
  })

  async function open (protocol: string, options = {}): Promise<Stream> {
    const stream = await dialer.services.streamOpener.newStream(listener.peerId, protocol, options)

    // otherwise this tests libp2p
    expect(replacedMethods(stream)).toContain('onData')

    return stream
  }

  /**
   * Resolves when the listener has seen the end of a stream of just this
   */
  async function isCollected (text: string): Promise<void> {
    return new Promise(resolve => { collected.set(text, resolve) })
  }

  it.each([null, undefined, 'text', 5, {}, new ArrayBuffer(3), new ArrayBuffer(5000), [1, 2]])('throws for what is not bytes, %s, and goes on as if it had not been sent', async junk => {
    const stream = await open(ECHO)

    expect(() => stream.send(junk as any)).toThrow(Error)
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it('lets the listener speak first to a dialer that writes nothing', async () => {
    await repeat(async () => {
      const stream = await open(SPEAK_FIRST)
      expect(await readAll(stream)).toEqual(bytes('welcome'))
      await stream.close()
    })
  })

  it('can be write-only', async () => {
    await repeat(async round => {
      const received = isCollected(`one ${round} two`)
      const stream = await open(COLLECT)
      stream.send(bytes(`one ${round}`))
      stream.send(bytes(' two'))
      await stream.close()
      await received
      stream.abort(new Error('Not interested in the answer'))
    }, ABORTED_ROUNDS)
  })

  it('can be closed at once without a write', async () => {
    await repeat(async () => {
      const stream = await open(COLLECT)
      const received = isCollected('')
      await stream.close()
      await received
      stream.abort(new Error('Not interested in the answer'))
    }, 20, 1)
  })

  it('can be half-closed before the answer is read', async () => {
    await repeat(async () => {
      const stream = await open(COLLECT)
      stream.send(bytes('request'))
      await stream.close()
      expect(await readAll(stream)).toEqual(bytes('request'))
      expect(stream.status).toBe('closed')
      expect(replacedMethods(stream)).toEqual([])
    })
  })

  it('sends the FIN with the data if told so', async () => {
    // a stock handler that loses the FIN would wait for ever, this one reads the
    // state of the stream
    await listener.handle('/byte-stream/1.0.0', async stream => {
      const reader = byteStream(stream)
      const chunk = await reader.read({ bytes: 7 })
      expect(await reader.read()).toBeNull()
      stream.send(chunk)
      await stream.close()
    }, { force: true })

    await repeat(async () => {
      // not announced to the dialer, so the first one is negotiated in full
      const stream = await dialer.services.streamOpener.newStream(listener.peerId, '/byte-stream/1.0.0', { halfClose: 'immediate' })
      expect(replacedMethods(stream)).not.toContain('sendCloseWrite')
      stream.send(bytes('request'))
      await stream.close()
      expect(await readAll(stream)).toEqual(bytes('request'))
    })
  })

  it('can be closed for reading before the echo', async () => {
    await repeat(async round => {
      const received = isCollected(`request ${round}`)
      const stream = await open(COLLECT)
      const ended = closed(stream)
      await stream.closeRead()
      stream.send(bytes(`request ${round}`))
      await stream.close()
      await received
      expect((await ended).error).toBeUndefined()
      expect(stream.readStatus).toBe('closed')
    })
  })

  it('can be aborted before, between and after the handshake', async () => {
    await repeat(async () => {
      const before = await open(ECHO)
      before.abort(new Error('before'))

      const between = await open(ECHO)
      between.send(bytes('hello'))
      between.abort(new Error('between'))

      const after = await open(ECHO)
      after.send(bytes('hello'))
      await new Promise(resolve => { after.addEventListener('message', resolve) })
      after.abort(new Error('after'))

      for (const stream of [before, between, after]) {
        expect(stream.status).toBe('aborted')
        expect(replacedMethods(stream)).toEqual([])
      }
    }, ABORTED_ROUNDS)

    expect(await exchange(await open(ECHO), bytes('still works'))).toEqual(bytes('still works'))
  })

  it('can be paused before the echo and resumed later', async () => {
    for (let i = 0; i < 10; i++) {
      const stream = await open(SOURCE)
      const received = new Uint8ArrayList()
      const ended = Promise.withResolvers<void>()

      stream.addEventListener('message', (evt: StreamMessageEvent) => {
        expect(stream.readStatus).toBe('readable')
        received.append(evt.data)

        if (received.byteLength === 500_000) {
          ended.resolve()
        }
      })
      stream.pause()

      // the listener has answered, and nobody has seen a byte of it
      while (stream.readBufferLength === 0) {
        await turn()
      }
      expect(received.byteLength).toBe(0)

      stream.resume()
      await ended.promise
      expect(Buffer.compare(received.subarray(), pattern(500_000))).toBe(0)
      await stream.close()
    }
  })

  it('takes a first write that is larger than the window', async () => {
    const data = pattern(3_000_000)

    for (let i = 0; i < 3; i++) {
      const stream = await open(COLLECT)
      stream.send(data)
      const [answer] = await Promise.all([readAll(stream), stream.close()])
      expect(Buffer.compare(answer, data)).toBe(0)
    }
  })

  it.each([false, true])('sends the handshake when the muxer can take more, whatever is held behind it, and closed at once: %s', async isClosed => {
    const stream = await dialer.services.streamOpener.newStreamOn(dialer.getConnections()[0] as Connection, ECHO, { earlyWrites: 'first' }) as Drainable
    const answer = readAll(stream)

    stream.onMuxerNeedsDrain()
    stream.send(bytes('hello'))
    stream.send(bytes('again'))
    const closing = isClosed ? stream.close() : undefined
    expect(stream.writableNeedsDrain).toBe(true)
    stream.onMuxerDrain()

    await (closing ?? stream.close())
    expect(await answer).toEqual(bytes('helloagain'))
  })

  it('takes writes in a tight loop with and without waiting for it to drain', async () => {
    const data = pattern(300_000)

    for (const wait of [true, false]) {
      const stream = await open(ECHO)
      const answer = readAll(stream)

      for (let i = 0; i < data.byteLength; i += 1_000) {
        if (!stream.send(data.subarray(i, i + 1_000)) && wait) {
          await stream.onDrain()
        }
      }

      await stream.close()
      expect(Buffer.compare(await answer, data)).toBe(0)
    }
  })

  it('works with it-pipe', async () => {
    await repeat(async () => {
      const stream = await open(ECHO)
      const sending = (async () => {
        for (const chunk of ['a', 'b', 'c']) {
          stream.send(bytes(chunk))
        }

        await stream.close()
      })()

      const received = await pipe(stream, async source => {
        let text = ''

        for await (const chunk of source) {
          text += new TextDecoder().decode(chunk.subarray())
        }

        return text
      })

      await sending
      expect(received).toBe('abc')
    })
  })

  it('does not keep its connection from being closed before the echo', async () => {
    const identifying = identified(dialer, listener)
    const connection = await dialer.dial(addressOf(listener), { force: true })
    await identifying
    const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO, { negotiationTimeout: 60_000 })
    expect(replacedMethods(stream)).toContain('onData')
    const ended = closed(stream)

    stream.send(bytes('hello'))
    await connection.close()
    await ended

    expect(connection.status).not.toBe('open')
    expect(replacedMethods(stream)).toEqual([])
  })
})
