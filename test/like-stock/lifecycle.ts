/**
 * What libp2p's own suites ask of streams and of the connections that they are on, see
 * test/like-upstream.spec.ts
 */
import { byteStream } from '@libp2p/utils'
import { pEvent } from 'p-event'
import { bytes, closed, pattern } from '../support/streams.ts'
import { nameOf, ticks } from './observe.ts'
import { turn } from '../support/wait.ts'
import type { Observer } from './observe.ts'
import type { NewDialer, Side } from './side.ts'
import type { Connection, Libp2p, Stream, StreamHandler, StreamMiddleware } from '@libp2p/interface'

interface Handled {
  handler: StreamHandler
  maxInboundStreams?: number
  middleware?: StreamMiddleware[]
}

function echoAll (stream: Stream): void {
  stream.addEventListener('message', ({ data }) => { stream.send(data) })
  stream.addEventListener('remoteCloseWrite', () => { stream.close().catch(() => {}) })
}

const middleware: StreamMiddleware = (stream, connection, next) => { next(stream, connection) }

/**
 * The protocols that programs use, and how a listener handles them
 */
export const HANDLED: Record<string, Handled> = {
  echoes: { handler: echoAll, maxInboundStreams: 1_000 },
  'takes two': { handler: echoAll, maxInboundStreams: 2 },
  'has middleware': { handler: echoAll, middleware: [middleware, middleware] },
  'has middleware that throws': { handler: echoAll, middleware: [() => { throw new Error('Not through me') }, middleware] },
  'has middleware that rejects': { handler: echoAll, middleware: [async () => Promise.reject(new Error('Not through me')), middleware] },
  'has middleware that aborts': { handler: echoAll, middleware: [stream => { stream.abort(new Error('Not through me')) }] },
  throws: { handler: () => { throw new Error('I cannot') } },
  rejects: { handler: async () => Promise.reject(new Error('I cannot')) },
  'reads nothing': { handler: stream => { stream.pause() }, maxInboundStreams: 1_000 },
  'says nothing': { handler: () => {}, maxInboundStreams: 1_000 },
  'closes the connection': { handler: async (_, connection) => connection.close() },
  'aborts the connection': { handler: (_, connection) => { connection.abort(new Error('Away')) } }
}

export interface Program {
  run(side: Side, observer: Observer): Promise<void>

  /**
   * What may be seen instead of what stock sees
   */
  isAsGood?: RegExp
}

/**
 * Fails if there is an error to be seen
 */
async function ask (stream: Stream): Promise<string> {
  stream.send(bytes('hello'))
  const reader = byteStream(stream)
  const answer = await reader.read({ bytes: 5 })
  reader.unwrap()

  return new TextDecoder().decode(answer.subarray())
}

async function outcome <T> (promise: Promise<T>): Promise<string> {
  return promise.then(result => `${typeof result === 'string' ? result : 'resolves'}`, nameOf)
}

/**
 * On a connection of its own, and ends with it
 */
async function alone (side: Side, run: (dialer: NewDialer) => Promise<void>): Promise<void> {
  const dialer = await side.newDialer('identified')

  try {
    await run(dialer)
  } finally {
    await dialer.node.stop()
  }
}

async function askFor (side: Side, protocol: string, { note }: Observer, dialer?: NewDialer): Promise<void> {
  const stream = await side.open(protocol, {}, dialer)
  note(await outcome(ask(stream)))
  stream.abort(new Error('It is over'))
}

function count (connection: Connection, stream: Stream): string {
  return `${connection.streams.filter(({ id }) => id === stream.id).length} of it`
}

function timeline (stream: Stream): string {
  return Object.entries(stream.timeline).filter(([, at]) => at != null).map(([name]) => name).sort().join(' ')
}

function stateOf ({ direction, protocol, status, readStatus, writeStatus, remoteReadStatus, remoteWriteStatus, writeBufferLength, readBufferLength }: Stream): string {
  return [direction, protocol, status, readStatus, writeStatus, remoteReadStatus, remoteWriteStatus, writeBufferLength, readBufferLength].join(' ')
}

/**
 * Once a listener has reset the stream, stock says that only if it comes after the write,
 * and over QUIC it takes it for the end
 */
const RESET = /^(hello, hello, )?StreamResetError, ends$/

/**
 * Over QUIC what a listener has closed before the connection may not arrive any more
 */
const GONE = /^(StreamResetError|ConnectionClosedError|UnexpectedEOFError), (closed|aborted|reset), 0 streams, ends$/

const askedFor = Object.fromEntries([
  'has middleware', 'has middleware that throws', 'has middleware that rejects', 'has middleware that aborts', 'throws', 'rejects'
].map(protocol => [`asks a listener that ${protocol}`, async (side: Side, observer: Observer) => askFor(side, protocol, observer)]))

const PLAIN: Record<string, Program['run']> = {

  'closes a stream, and the listener does': async (side, { note }) => {
    const stream = await side.open('echoes')
    note(`${stateOf(stream)}, ${count(side.connection, stream)}, ${timeline(stream)}`)
    note(await ask(stream))
    note(stateOf(stream))
    const evt = closed(stream)
    await stream.close()
    const { error, local } = await evt
    note(`${String(error)} ${String(local)}, ${stateOf(stream)}, ${count(side.connection, stream)}, ${timeline(stream)}`)
  },

  'closes a stream that it has never written to': async (side, { note }) => {
    const stream = await side.open('echoes')
    const evt = closed(stream)
    await stream.close()
    const { error } = await evt
    note(`${String(error)}, ${stream.status}, ${count(side.connection, stream)}`)
  },

  'aborts a stream': async (side, { note }) => {
    const stream = await side.open('says nothing')
    const evt = closed(stream)
    stream.send(bytes('hello'))
    stream.abort(new Error('I do not want it'))
    const { error, local } = await evt
    note(`${String(error)} ${String(local)}, ${stream.status} ${stream.readStatus} ${stream.writeStatus}, ${count(side.connection, stream)}, ${timeline(stream)}`)
    note(await outcome((async () => { stream.send(bytes('hello')) })()))
    note(await outcome(stream.close()))
  },

  'aborts a stream that it has never written to': async (side, { note }) => {
    const stream = await side.open('says nothing')
    const evt = closed(stream)
    stream.abort(new Error('I do not want it'))
    note(`${String((await evt).error)}, ${stream.status}, ${count(side.connection, stream)}`)
  },

  'aborts a stream that has much to send': async (side, { note }) => {
    const stream = await side.open('reads nothing')
    const idle = pEvent(stream as any, 'idle')
    note(`${stream.send(pattern(5_000_000))}`)
    await turn()
    stream.abort(new Error('I do not want it'))
    note(await Promise.race([idle.then(() => 'idle'), ticks(2, 'never idle')]))
    note(`${stream.status} ${stream.writeBufferLength}`)
  },

  'writes after it has closed its end': async (side, { note }) => {
    const stream = await side.open('says nothing')
    stream.send(bytes('hello'))
    await stream.close()
    note(`${stream.status} ${stream.writeStatus}, ${count(side.connection, stream)}`)
    note(await outcome((async () => { stream.send(bytes('hello')) })()))
    note(await outcome(stream.close()))
    stream.abort(new Error('It is over'))
  },

  'closes its reading end': async (side, { note }) => {
    const stream = await side.open('echoes')
    await stream.closeRead()
    note(`${stream.status} ${stream.readStatus} ${stream.writeStatus}`)
    stream.send(bytes('hello'))
    const evt = closed(stream)
    await stream.close()
    note(`${String((await evt).error)} ${stream.status}`)
  },

  'opens a stream while it closes the connection': async (side, { note }) => alone(side, async dialer => {
    note(await ask(await side.open('echoes', {}, dialer)))
    const closing = dialer.connection.close()
    note(await outcome(side.open('echoes', {}, dialer)))
    await closing
    note(await outcome(side.open('echoes', {}, dialer)))
  }),

  'closes the connection': async (side, { note }) => alone(side, async dialer => {
    const stream = await side.open('says nothing', {}, dialer)
    const evt = closed(stream)
    stream.send(bytes('hello'))
    await dialer.connection.close()
    const { error, local } = await evt
    note(`${nameOf(error ?? new Error())} ${String(local)} ${stream.status}, ${dialer.connection.streams.length} streams, ${dialer.connection.status}`)
  }),

  'aborts the connection': async (side, { note }) => alone(side, async dialer => {
    const stream = await side.open('says nothing', {}, dialer)
    const evt = closed(stream)
    stream.send(bytes('hello'))
    dialer.connection.abort(new Error('Away'))
    const { error, local } = await evt
    note(`${nameOf(error ?? new Error())} ${String(local)} ${stream.status}, ${dialer.connection.streams.length} streams, ${dialer.connection.status}`)
  }),

  'has middleware of which the first throws': async (side, { note }) => alone(side, async dialer => {
    let seen: Stream | undefined
    let calls = 0
    const middleware: StreamMiddleware[] = [
      stream => {
        seen = stream
        throw new Error('Not through me')
      },
      (stream, connection, next) => {
        calls++
        next(stream, connection)
      }
    ]
    dialer.node.use('echoes', middleware)

    note(await outcome(side.open('echoes', {}, dialer)))
    note(`${seen?.status} ${calls} ${dialer.connection.streams.filter(({ protocol }) => protocol === 'echoes').length}`)
  }),

  'is told of what happens on a stream, in order': async (side, { note }) => {
    const stream = await side.open('echoes')
    const types: string[] = []

    for (const type of ['message', 'remoteCloseWrite', 'remoteCloseRead', 'end', 'close', 'closeRead', 'closeWrite']) {
      stream.addEventListener(type as any, () => { types.push(type) })
    }

    stream.send(bytes('hello'))
    await pEvent(stream as any, 'message')
    await stream.close()

    if (stream.status !== 'closed') {
      await closed(stream)
    }

    await turn()
    note(types.join(' '))
  }
}

async function leave (side: Side, protocol: string, { note }: Observer): Promise<void> {
  await alone(side, async dialer => {
    const stream = await side.open(protocol, {}, dialer)
    const evt = closed(stream)
    note(await outcome(ask(stream)))
    await evt
    note(`${stream.status}, ${dialer.connection.streams.length} streams`)
  })
}

export const PROGRAMS: Record<string, Program> = {
  ...Object.fromEntries(Object.entries(PLAIN).map(([name, run]) => [name, { run }])),
  ...Object.fromEntries(Object.entries(askedFor).map(([name, run]) => [name, { run, isAsGood: RESET }])),

  // the third one is confirmed, and then reset
  'has more streams than the listener takes': {
    run: async (side, { note }) => alone(side, async dialer => {
      for (let i = 0; i < 3; i++) {
        note(await outcome(ask(await side.open('takes two', {}, dialer))))
      }
    }),
    isAsGood: RESET
  },

  'closes a stream to a listener that reads nothing, with a signal': {
    run: async (side, { note }) => {
      const stream = await side.open('reads nothing')
      stream.send(pattern(5_000_000))
      note(await outcome(stream.close({ signal: AbortSignal.timeout(50) })))
      stream.abort(new Error('It is over'))
    },
    // over QUIC a stock listener reads all the same, which may take longer or not
    isAsGood: /^TimeoutError, ends$/
  },

  'asks a listener that closes the connection': {
    run: async (side, observer) => leave(side, 'closes the connection', observer),
    isAsGood: GONE
  },

  'asks a listener that aborts the connection': {
    run: async (side, observer) => leave(side, 'aborts the connection', observer),
    isAsGood: GONE
  }
}

/**
 * Lets a listener handle all protocols of the programs
 */
export async function handleAll (listener: Libp2p): Promise<void> {
  for (const [protocol, { handler, middleware, ...options }] of Object.entries(HANDLED)) {
    await listener.handle(protocol, handler, options)

    if (middleware != null) {
      listener.use(protocol, middleware)
    }
  }
}
