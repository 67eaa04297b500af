/**
 * The ends of QUIC streams that the peer resets, or whose connection is lost
 */
import { byteStream } from '@libp2p/utils'
import { describe, expect, it } from 'vitest'
import { receiveBulk } from '../../src/index.ts'
import { forkBulkListener, ENDLESS, FAST } from '../support/bulk-listener.ts'
import { digestOf } from '../support/bulk-data.ts'
import { listen, MIB, Sending } from '../support/quic-sending.ts'
import { connectQuic, createQuicNode, DIRECTIONS } from '../support/quic-streams.ts'
import { rounds, sampled } from '../support/rounds.ts'
import { bytes, closed, readAll } from '../support/streams.ts'
import { turn, turns, until } from '../support/wait.ts'
import type { Stream, StreamCloseEvent } from '@libp2p/interface'

const RESETS = rounds(1_000)

/**
 * When the peer resets a stream. What is returned is to be done afterwards.
 */
const MOMENTS: Record<string, (stream: Stream, remote: Stream) => Promise<undefined | (() => void)>> = {
  'before anything was sent': async () => undefined,

  'after data': async (stream, remote) => {
    remote.send(bytes('hello'))
    return undefined
  },

  'while it sends': async (stream, remote) => {
    const sending = new Sending(remote, Infinity)
    await until(() => sending.sent > MIB)
    return undefined
  },

  'while it is sent to': async stream => {
    const sending = new Sending(stream, Infinity)
    await until(() => sending.sent > MIB)
    return undefined
  },

  'while both send': async (stream, remote) => {
    const sending = [new Sending(stream, Infinity), new Sending(remote, Infinity)]
    await until(() => sending.every(({ sent }) => sent > MIB))
    return undefined
  },

  'after the end of what was sent to it': async stream => {
    stream.send(bytes('hello'))
    await stream.close()
    return undefined
  },

  'while nothing waits for a reader that has paused': async stream => {
    stream.pause()
    return undefined
  },

  'while data waits for a reader that has paused': async (stream, remote) => {
    stream.pause()
    await new Sending(remote, Infinity).untilHeld()

    return () => { stream.resume() }
  }
}

/**
 * How a reader gets to know
 */
const READERS: Record<string, (stream: Stream) => Promise<unknown>> = {
  'for await': readAll,

  'byteStream()': async stream => {
    const reader = byteStream(stream, { maxBufferSize: Infinity })

    while (await reader.read() != null) {
      // until the end
    }
  },

  'receiveBulk()': async stream => {
    await digestOf(receiveBulk(stream)).catch(err => { throw err.cause })
  },

  listeners: async stream => {
    const events: string[] = []
    let evt: StreamCloseEvent | undefined
    stream.addEventListener('message', () => {})
    stream.addEventListener('remoteCloseWrite', () => { events.push('remoteCloseWrite') })
    stream.addEventListener('close', closeEvent => { evt = closeEvent })
    await until(() => evt != null)
    // nor afterwards
    await turn()
    expect(events).toEqual([])
    expect(evt?.local).toBe(false)

    throw evt?.error ?? new Error('It ended')
  }
}

describe.each(DIRECTIONS)('a QUIC stream that is %s and reset by the peer', direction => {
  it.each(Object.keys(MOMENTS).flatMap((moment, i) => Object.keys(READERS).map((reader, j) => [moment, reader, i + j] as const)))('%s, is not taken for complete by %s', async (moment, reader, offset) => {
    const pair = await connectQuic(direction)

    for (const after of sampled([0, 1, 2, 3, 4], offset)) {
      const { stream, remote } = await pair.open()
      const reading = READERS[reader]?.(stream)
      const failure = expect(reading).rejects.toMatchObject({ name: 'StreamResetError' })
      const goOn = await MOMENTS[moment]?.(stream, remote)

      await turns(after)

      remote.abort(new Error('Reset'))
      goOn?.()

      await failure
      expect(stream.status).toBe('reset')
    }

    await until(() => pair.connection.streams.length === 0 && pair.peerConnection.streams.length === 0)
  })

  it(`makes room for the next one, ${RESETS} times`, async () => {
    const pair = await connectQuic(direction)

    for (let i = 0; i < RESETS; i++) {
      const { stream, remote } = await pair.open()
      const end = closed(stream)
      remote.abort(new Error('Reset'))
      expect((await end).error?.name).toBe('StreamResetError')
    }
  })
})

describe('the streams of a QUIC connection that is lost', () => {
  it('all end with an error, whatever they were doing', async () => {
    const listener = await forkBulkListener('quic')
    const dialer = await createQuicNode(false, {}, { maxIdleTimeout: 2_000, keepAliveInterval: 500 })
    const { streamOpener } = dialer.services
    const open = async (protocol: string): Promise<Stream> => streamOpener.newStream(listener.addr, protocol)
    const endless = await Promise.all(Array.from({ length: 18 }, async () => open(ENDLESS)))
    const idle = await Promise.all(Array.from({ length: 8 }, async () => open(FAST)))
    const [read, paused, ended] = [endless.slice(0, 6), endless.slice(6, 12), endless.slice(12)]
    const streams = [...endless, ...idle]
    const names: string[] = []
    const statuses: string[] = []
    const [connection] = dialer.getConnections()
    const ends = streams.map(async stream => closed(stream))
    streams.forEach(stream => { stream.addEventListener('close', () => { statuses.push(connection?.status ?? '') }) })
    const readers = [...read, ...ended].map(async stream => readAll(stream).catch(err => { names.push(err.name) }))
    const received = paused.map(listen)

    await until(() => received.every(({ received }) => received > 0))
    paused.forEach(stream => { stream.pause() })
    await Promise.all(ended.map(async stream => stream.close()))
    await until(() => paused.every(({ readBufferLength }) => readBufferLength > 0))
    await listener.kill()

    expect((await Promise.all(ends)).map(({ error }) => error?.name)).toEqual(Array(26).fill('ConnectionClosedError'))
    // who opens another one because of that does not get one on this connection
    expect(statuses).toEqual(Array(26).fill('closed'))
    await Promise.all(readers)
    expect(names).toEqual(Array(12).fill('ConnectionClosedError'))
    expect(streams.map(({ status }) => status)).toEqual(Array(26).fill('aborted'))
    expect(dialer.getConnections()).toEqual([])
  })

  it.each(DIRECTIONS)('all end with an error when the peer aborts it (%s)', async direction => {
    const pair = await connectQuic(direction)
    const opened = await Promise.all(Array.from({ length: 1 }, async () => pair.open()))

    for (let i = 0; i < 9; i++) {
      opened.push(await pair.open())
    }

    const ends = opened.map(async ({ stream }) => closed(stream))
    opened.forEach(({ stream }, i) => { i % 2 === 0 ? listen(stream) : stream.pause() })
    pair.peerConnection.abort(new Error('Gone'))

    for (const { error } of await Promise.all(ends)) {
      // libp2p resets them first
      expect(error?.name).toBeOneOf(['StreamResetError', 'ConnectionClosedError'])
    }
  })
})
