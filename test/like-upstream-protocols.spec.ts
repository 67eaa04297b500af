/**
 * What libp2p's own suites ask of its protocols, asked of nodes with intercept and of
 * those without: identify, ping, fetch and echo. What they ask of streams is in
 * like-upstream.spec.ts, and of nodes in like-upstream-nodes.spec.ts.
 */
import { echo as echoService } from '@libp2p/echo'
import { fetch } from '@libp2p/fetch'
import { ping, PING_PROTOCOL } from '@libp2p/ping'
import { pEvent } from 'p-event'
import { Uint8ArrayList } from 'uint8arraylist'
import { describe, it } from 'vitest'
import { expectAlike, outcome } from './like-stock/alike.ts'
import { READERS } from './like-stock/readers.ts'
import { connectIdentified } from './support/nodes.ts'
import { sampled } from './support/rounds.ts'
import { bytes, ECHO } from './support/streams.ts'
import { until } from './support/wait.ts'
import type { TransportName } from './support/nodes.ts'
import type { Connection, IdentifyResult, Libp2p, StreamHandler } from '@libp2p/interface'

const IDENTIFY = '/ipfs/id/1.0.0'
const FETCH = '/libp2p/fetch/0.0.1'

/**
 * What a listener may do instead of what its protocol says, and what may be seen of it
 * instead of what stock sees: who is reset before it writes is told so by the write, over
 * QUIC a reset looks like an end, and ping does not notice either once it has written
 */
const INSTEAD: Record<string, { handler: StreamHandler, isAsGood?: RegExp, patience?: number }> = {
  'says nothing': { handler: () => {}, patience: 100 },
  'says nothing and reads nothing': { handler: stream => { stream.pause() }, patience: 100 },
  // who waits for room rejects with the event if the stream is closed then, which is stock's doing
  'ends the stream at once': {
    handler: async stream => stream.close(),
    isAsGood: /^(UnexpectedEOFError|a StreamCloseEvent instead of an Error)$/
  },
  'ends the stream when it has been asked': {
    handler: async stream => {
      await pEvent(stream as any, 'message')
      await stream.close()
    }
  },
  'resets the stream': {
    handler: stream => { stream.abort(new Error('No')) },
    isAsGood: /^(StreamResetError|TimeoutError)$/
  },
  'resets the stream when it has been asked': {
    handler: async stream => {
      await pEvent(stream as any, 'message')
      stream.abort(new Error('No'))
    },
    isAsGood: /^StreamResetError$/
  },
  throws: {
    handler: () => { throw new Error('No') },
    isAsGood: /^(StreamResetError|TimeoutError)$/
  },
  'sends rubbish': {
    handler: async stream => {
      stream.send(new Uint8Array(40).fill(7))
      await stream.close()
    }
  },
  'sends more than it may': {
    handler: async stream => {
      stream.send(Uint8Array.from([0xff, 0xff, 0xff, 0x7f]))
      await stream.close()
    }
  },
  'sends half an answer': {
    handler: async stream => {
      stream.send(Uint8Array.from([32, 1, 2, 3]))
      await stream.close()
    }
  }
}

/**
 * What a program may have of them
 */
const SERVICES = { ping: ping(), fetch: fetch(), echo: echoService() }

/**
 * For how long an answer is waited for, in ms: ping and identify may not notice that there
 * is none
 */
const PATIENCE = 500

interface Use {
  protocol: string
  use(dialer: Libp2p<any>, connection: Connection, signal: AbortSignal): Promise<unknown>
}

/**
 * How programs use the protocols
 */
const USES: Record<string, Use> = {
  identify: {
    protocol: IDENTIFY,
    use: async ({ services: { identify } }, connection, signal) => identify.identify(connection, { signal })
  },
  ping: {
    protocol: PING_PROTOCOL,
    use: async ({ services: { ping } }, { remotePeer }, signal) => ping.ping(remotePeer, { signal })
  },
  fetch: {
    protocol: FETCH,
    use: async ({ services: { fetch } }, { remotePeer }, signal) => fetch.fetch(remotePeer, '/any/key', { signal })
  }
}

function isUsed ({ streams }: Connection, used: string): boolean {
  return streams.some(({ protocol, status }) => protocol === used && status === 'open')
}

async function rawIdentify (connection: Connection): Promise<Uint8Array> {
  const message = new Uint8ArrayList()
  await READERS.byteStream?.(await connection.newStream(IDENTIFY), data => { message.append(data) })

  return message.subarray()
}

const CASES = Object.entries(USES).flatMap(([service, use]) => Object.entries(INSTEAD).map(([does, instead]) => ({ service, ...use, does, ...instead })))
const TRANSPORTS: TransportName[] = ['tcp', 'quic']

/**
 * How the message of identify may arrive
 */
const MESSAGES: Array<[string, (message: Uint8Array) => Uint8Array[]]> = [
  ['with a byte behind it', message => [Uint8Array.from([...message, 0])]],
  ['twice', message => [message, message]],
  ['twice in one', message => [Uint8Array.from([...message, ...message])]],
  ['in pieces', message => [message.subarray(0, 1), message.subarray(1, 100), message.subarray(100)]],
  ['cut off', message => [message.subarray(0, -1)]]
]

describe.each(TRANSPORTS)('over %s', transport => {
  it.each(sampled(CASES, TRANSPORTS.indexOf(transport)))('$service fails as with stock where the listener $does', async ({ protocol, use, handler, isAsGood, patience = PATIENCE }) => {
    await expectAlike(async create => {
      const listener = await create.other(transport, { services: SERVICES })
      const dialer = await create.dialer(undefined, { services: SERVICES })
      const connection = await connectIdentified(dialer, listener)
      await listener.handle(protocol, handler, { force: true })

      const seen = await outcome(use(dialer, connection, AbortSignal.timeout(patience)))
      await until(() => !isUsed(connection, protocol))

      return [seen]
    }, isAsGood)
  })

  it('echo fails as with stock where the listener ends the stream half-way', async () => {
    await expectAlike(async create => {
      const listener = await create.other(transport)
      const dialer = await create.dialer(undefined, { services: SERVICES })
      await connectIdentified(dialer, listener)
      await listener.handle(ECHO, async stream => {
        stream.send(bytes('he'))
        await stream.close()
      })

      return [await outcome(dialer.services.echo.echo(listener.peerId, bytes('hello')))]
    })
  })

  it.each(sampled(MESSAGES, TRANSPORTS.indexOf(transport)))('identify takes a message %s as with stock', async (_, cut) => {
    await expectAlike(async create => {
      const listener = await create.other(transport)
      const dialer = await create.dialer(undefined)
      const connection = await connectIdentified(dialer, listener)
      const pieces = cut(await rawIdentify(connection))

      await listener.handle(IDENTIFY, async stream => {
        for (const piece of pieces) {
          stream.send(piece)
        }

        await stream.close()
      }, { force: true })

      return [await dialer.services.identify.identify(connection).then(
        ({ protocols, listenAddrs }: IdentifyResult) => `${protocols.includes(IDENTIFY)} ${listenAddrs.length}`,
        ({ name }: Error) => name
      )]
    })
  })
})
