/**
 * Streams that are over, one way or another
 */
import { vi } from 'vitest'
import { message } from '../support/raw-listener.ts'
import { bytes, pattern, readAll } from '../support/streams.ts'
import { nameOf, observe, tick } from './observe.ts'
import { nextRequest, readRequest } from './request.ts'
import { turn } from '../support/wait.ts'
import type { Side } from './side.ts'
import type { Libp2p, NewStreamOptions, Stream } from '@libp2p/interface'

/**
 * What can come instead of the confirmation of a protocol
 */
export const REFUSALS: Record<string, (stream: Stream, listener: Libp2p) => void> = {
  'answers na': stream => { stream.send(Uint8Array.from([...message('/multistream/1.0.0\n'), ...message('na\n')])) },
  'ends the stream': stream => { stream.close().catch(() => {}) },
  'resets the stream': stream => { stream.abort(new Error('No')) },
  'cuts the link': (stream, listener) => {
    listener.getConnections().find(({ streams }) => streams.includes(stream))?.abort(new Error('Gone'))
  }
}

/**
 * Such a listener may read nothing before
 */
export async function refuseLate (stream: Stream, refuse: () => void): Promise<void> {
  stream.pause()
  await tick()

  // the dialer may have gone
  if (stream.status === 'open') {
    refuse()
  }
}

/**
 * What becomes of `close()` while 2 MB wait for a listener that reads nothing
 */
export async function closeWhileWaiting (side: Side, protocol: string): Promise<string> {
  let stream: Stream | undefined

  const seen = await observe(async ({ note }) => {
    stream = await side.open(protocol, { negotiationTimeout: 200 } as NewStreamOptions)
    stream.send(pattern(2_000_000))
    await stream.close().then(() => { note('close() resolves') }, err => { note(`close() rejects with ${nameOf(err)}`) })
  })

  stream?.abort(new Error('It is over'))

  return seen
}

/**
 * Answers each request, and takes one at a time
 */
export async function answerOne (stream: Stream): Promise<void> {
  stream.send(await readRequest(stream))
  await stream.close()
}

/**
 * How many of so many requests, one after the other, are answered
 */
export async function requestInTurn (side: Side, protocol: string, requests: number): Promise<string> {
  const outcomes = new Map<string, number>()

  for (let i = 0; i < requests; i++) {
    const outcome = await observe(async ({ note }) => {
      const request = nextRequest()
      const stream = await side.open(protocol)
      stream.send(bytes(request))
      stream.close().catch(() => {})
      note(`${new TextDecoder().decode(await readAll(stream)) === request}`)
    })

    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }

  return [...outcomes].map(([outcome, count]) => `${count} x ${outcome}`).join('; ')
}

/**
 * Whether an end is sent on a stream that the listener has reset
 */
export async function closeThenReset (side: Side, protocol: string): Promise<string> {
  let stream: Stream | undefined

  const seen = await observe(async ({ note }) => {
    stream = await side.open(protocol)
    const closeWrite = vi.spyOn(Object.getPrototypeOf(stream), 'sendCloseWrite')
    stream.send(bytes(nextRequest()))
    await stream.close()

    for (let i = 0; i < 50 && stream.status !== 'reset'; i++) {
      await turn()
    }

    const before = closeWrite.mock.contexts.filter(context => context === stream).length
    await tick()
    await tick()
    const after = closeWrite.mock.contexts.filter(context => context === stream).length
    note(`${after - before} ends follow`)
  })

  stream?.abort(new Error('It is over'))

  return seen
}
