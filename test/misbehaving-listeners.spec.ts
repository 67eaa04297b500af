import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectIdentified, createOpenerNode, createStockNode, stopNodes, TRANSPORTS } from './support/nodes.ts'
import { echoOf, handleRaw, message } from './support/raw-listener.ts'
import { bytes, closed, ECHO, echo, exchange, readAll, replacedMethods } from './support/streams.ts'
import { turn, until } from './support/wait.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const HEADER = message('/multistream/1.0.0\n')

/**
 * What a listener can do wrong, and what the dialer gets for it
 */
const WRONG: Array<{ does: string, play(stream: Stream): void | Promise<void>, error: string | string[], negotiationTimeout?: number }> = [{
  does: 'answers na',
  play: stream => {
    stream.send(HEADER)
    stream.send(message('na\n'))
  },
  error: 'UnsupportedProtocolError'
}, {
  does: 'answers na without a header',
  play: stream => { stream.send(message('na\n')) },
  error: 'UnsupportedProtocolError'
}, {
  does: 'answers with another protocol',
  play: stream => { stream.send(echoOf('/other/1.0.0')) },
  error: 'ProtocolError'
}, {
  does: 'answers with another version of multistream-select',
  play: stream => { stream.send(message('/multistream/2.0.0\n')) },
  error: 'ProtocolError'
}, {
  does: 'answers with garbage',
  play: stream => { stream.send(Uint8Array.from({ length: 5_000 }, (_, i) => 0xff - i % 7)) },
  error: 'InvalidMessageError'
}, {
  does: 'answers with a message of 2 GiB',
  play: stream => { stream.send(Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0x07, 1, 2, 3])) },
  error: 'InvalidMessageError'
}, {
  does: 'answers with a message that is one byte too long',
  play: stream => { stream.send(Uint8Array.from([0x81, 0x08, ...new Uint8Array(1025)])) },
  error: 'InvalidMessageError'
}, {
  does: 'answers with an empty message',
  play: stream => { stream.send(Uint8Array.from([0])) },
  error: 'InvalidMessageError'
}, {
  does: 'answers without a newline',
  play: stream => { stream.send(message('/multistream/1.0.0')) },
  error: 'InvalidMessageError'
}, {
  does: 'sends half an echo and resets',
  play: stream => {
    stream.send(echoOf(ECHO).subarray(0, 25))
    stream.abort(new Error('Enough'))
  },
  // over QUIC a reset looks like a FIN
  error: ['StreamResetError', 'StreamClosedError']
}, {
  does: 'sends half an echo and ends the stream',
  play: async stream => {
    stream.send(echoOf(ECHO).subarray(0, 25))
    await stream.close()
  },
  error: 'StreamClosedError'
}, {
  does: 'sends data and ends the stream before the echo',
  play: async stream => {
    stream.send(bytes('/ata without a handshake, as long as two messages of multistream-select\n'))
    await stream.close()
  },
  error: ['StreamClosedError', 'ProtocolError', 'InvalidMessageError']
}, {
  does: 'ends the stream at once',
  play: async stream => stream.close(),
  error: 'StreamClosedError'
}, {
  does: 'resets the stream at once',
  play: stream => { stream.abort(new Error('Enough')) },
  error: ['StreamResetError', 'StreamClosedError']
}, {
  does: 'is silent',
  play: () => {},
  error: 'TimeoutError',
  negotiationTimeout: 100
}]

describe.each(TRANSPORTS)('a listener over %s', transport => {
  let dialer: Libp2p<OpenerServices>
  let listener: Libp2p
  let connection: Connection
  let play: (stream: Stream) => void | Promise<void>

  beforeAll(async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode(transport)
    await handleRaw(listener, ECHO, stream => { void play(stream) })
    await listener.handle('/well-behaved/1.0.0', echo)
    connection = await connectIdentified(dialer, listener)
  })

  afterAll(async () => {
    await stopNodes(dialer, listener)
  })

  /**
   * The peer says again what it speaks, so that the dialer trusts it once more
   */
  async function openTrusting (options = {}): Promise<Stream> {
    // a listener resets the second identify stream at a time, and the last one may not be over
    await until(() => listener.getConnections().every(({ streams }) => streams.every(({ protocol }) => protocol !== '/ipfs/id/1.0.0')))
    await dialer.services.identify.identify(connection)
    const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO, options)
    expect(replacedMethods(stream)).toContain('onData')

    return stream
  }

  it.each(WRONG)('that $does gives $error', async ({ play: wrong, error, negotiationTimeout }) => {
    play = wrong
    const names = expect.toBeOneOf([error].flat())

    const stream = await openTrusting({ negotiationTimeout })
    const end = closed(stream)
    const reads = [
      readAll(stream),
      (async () => { for await (const chunk of stream) { expect(chunk).toBe('not a byte') } })()
    ]
    const close = (async () => {
      stream.send(bytes('request'))
      await stream.close()
    })()

    const [closeError, ...errors] = await Promise.all([close, ...reads].map(async promise => promise.then(() => undefined, err => err.name)))

    expect((await end).error?.name).toEqual(names)
    expect(errors).toEqual([names, names])
    // it need not wait for the answer
    expect([undefined, error].flat()).toContain(closeError)
    expect(replacedMethods(stream)).toEqual([])
    expect(connection.streams.filter(({ protocol }) => protocol === ECHO)).toHaveLength(0)

    // nobody takes the peer to speak this any longer
    play = stream => {
      stream.send(echoOf(ECHO))
      void echo(stream)
    }
    const next = await dialer.services.streamOpener.newStreamOn(connection, ECHO)
    expect(replacedMethods(next)).not.toContain('onData')
    expect(await exchange(next, bytes('hello'))).toEqual(bytes('hello'))

    // and it does not make a difference to other protocols
    const other = await dialer.services.streamOpener.newStreamOn(connection, '/well-behaved/1.0.0')
    expect(replacedMethods(other)).toContain('onData')
    expect(await exchange(other, bytes('hello'))).toEqual(bytes('hello'))
  })

  it.each(WRONG)('that $does is told to who only listens for the end, after those who listen for errors', async ({ play: wrong, negotiationTimeout }) => {
    play = wrong
    const events: string[] = []
    const stream = await openTrusting({ negotiationTimeout })

    await new Promise<void>(resolve => {
      stream.addEventListener('remoteCloseWrite', () => {
        events.push('end')
        resolve()
      })
      stream.addEventListener('close', ({ error }) => { events.push(error == null ? 'closed' : 'failed') })
      stream.send(bytes('request'))
    })

    expect(events).toEqual(['failed', 'end'])
  })

  it('that sends the echo one byte at a time is fine', async () => {
    play = async stream => {
      for (const byte of echoOf(ECHO)) {
        stream.send(Uint8Array.from([byte]))
        await stream.onDrain()
        await turn()
      }

      await echo(stream)
    }

    for (let i = 0; i < 5; i++) {
      expect(await exchange(await openTrusting(), bytes('hello'))).toEqual(bytes('hello'))
    }
  })

  it('that cuts the echo and the answer anywhere is fine', async () => {
    const answer = bytes('answer')
    const all = Uint8Array.from([...echoOf(ECHO), ...answer])

    for (let cut = 0; cut <= all.byteLength; cut++) {
      play = async stream => {
        if (cut > 0) {
          stream.send(all.subarray(0, cut))
          await stream.onDrain()
          await turn()
        }

        if (cut < all.byteLength) {
          stream.send(all.subarray(cut))
        }

        await stream.close()
      }

      const stream = await openTrusting()
      expect(await readAll(stream)).toEqual(answer)
      await stream.close()
    }
  })

  it('that takes long to answer still gets the FIN of a stream that was closed with a signal in the meantime', async () => {
    const answer = Promise.withResolvers<void>()
    const ended = Promise.withResolvers<void>()
    let isAnswered = false
    play = async stream => {
      stream.addEventListener('remoteCloseWrite', () => {
        expect(isAnswered).toBe(true)
        ended.resolve()
      })
      await answer.promise
      isAnswered = true
      stream.send(echoOf(ECHO))
    }

    const stream = await openTrusting()
    stream.send(bytes('hello'))
    // the signal also bounds the sending of the data
    await stream.onDrain()
    const controller = new AbortController()
    const closing = stream.close({ signal: controller.signal })
    await turn()
    controller.abort()
    await closing
    expect(stream.writeStatus).toBe('closed')

    answer.resolve()
    await ended.promise
    stream.abort(new Error('Seen enough'))
    expect(replacedMethods(stream)).toEqual([])
  })

  it('that floods instead of answering is cut off before it fills the memory', async () => {
    let sent = 0
    play = async stream => {
      // a message that never ends, in messages that are each within the limit
      while (stream.writeStatus === 'writable' && sent < 10_000_000) {
        stream.send(HEADER)
        sent += HEADER.byteLength

        if (sent % 1_000 < HEADER.byteLength) {
          await turn()
        }
      }
    }

    const stream = await openTrusting()
    const { error } = await closed(stream)
    expect(error).toHaveProperty('name', 'ProtocolError')
    expect(stream.readBufferLength).toBe(0)
  })

  it('that is silent does not keep its connection from being closed, as with stock', async () => {
    play = () => {}

    const stream = await openTrusting()
    stream.send(bytes('request'))
    await connection.close()
    expect(connection.status).toBe('closed')
    expect(stream.status).not.toBe('open')
  })
})
