/**
 * Programs that take each write for a message of its own
 */
import { pEvent } from 'p-event'
import { bytes } from '../support/streams.ts'
import { observe, ticks } from './observe.ts'
import { nextRequest, REQUEST_LENGTH } from './request.ts'
import { turn } from '../support/wait.ts'
import type { Side } from './side.ts'
import type { Stream, StreamMessageEvent } from '@libp2p/interface'

const LENGTHS = [REQUEST_LENGTH, 300, 301, 302]

/**
 * What a program does between its writes
 */
export const PAUSES: Record<string, (stream: Stream) => Promise<void> | undefined> = {
  'in one go': () => undefined,
  'a turn apart': turn,
  'when the stream has drained': async stream => stream.onDrain()
}

const received = new Map<string, PromiseWithResolvers<string>>()

/**
 * A handler that takes what comes as one message for one message
 */
export async function takeMessages (stream: Stream): Promise<void> {
  const lengths: number[] = []
  let request = ''

  for await (const chunk of stream) {
    request ||= new TextDecoder().decode(chunk.subarray(0, REQUEST_LENGTH))
    lengths.push(chunk.byteLength)
  }

  received.get(request)?.resolve(lengths.join(' + '))
  await stream.close()
}

/**
 * A handler that takes the first thing that comes for a message, as @libp2p/http does
 * with the headers of a request, and says how long it was
 */
export async function takeFirst (stream: Stream): Promise<void> {
  const { data } = await pEvent<'message', StreamMessageEvent>(stream as any, 'message')

  stream.send(bytes(`${data.byteLength}`))
  await stream.close()
}

/**
 * How many of so many first writes, one after the other, arrive joined with the second
 * one, which is written as soon as the first has drained. There is nothing between the
 * nodes.
 */
export async function countJoined (side: Side, protocol: string, rounds: number): Promise<number> {
  const dialer = await side.newDialer('identified')
  let joined = 0

  for (let i = 0; i < rounds; i++) {
    const stream = await side.open(protocol, {}, dialer)
    const answer = pEvent<'message', StreamMessageEvent>(stream as any, 'message')

    stream.send(new Uint8Array(300))
    await stream.onDrain()
    stream.send(new Uint8Array(1))
    joined += Number(new TextDecoder().decode((await answer).data.subarray()) !== '300')
    await stream.close()
  }

  await dialer.node.stop()

  return joined
}

/**
 * Whether it is the same but for messages that were joined
 */
export function isJoined (seen: string): boolean {
  const sum = seen.split(', ')[0]?.split(' + ').reduce((sum, length) => sum + Number(length), 0)

  return sum === LENGTHS.reduce((sum, length) => sum + length) && seen.endsWith('ends')
}

/**
 * What the messages are that the listener gets
 */
export async function writeMessages (side: Side, protocol: string, pause: string): Promise<string> {
  let stream: Stream | undefined

  const seen = await observe(async ({ note }) => {
    const request = nextRequest()
    const got = Promise.withResolvers<string>()
    received.set(request, got)
    stream = await side.open(protocol)

    for (const length of LENGTHS) {
      stream.send(bytes(request.padEnd(length)))
      const pausing = PAUSES[pause]?.(stream)

      if (pausing != null) {
        await pausing
      }
    }

    await stream.close()
    note(await got.promise)
  })

  stream?.abort(new Error('It is over'))

  return seen
}

/**
 * What a program learns from its second write while not one byte of the listener
 * arrives
 */
export async function writeWhileHeld (side: Side, protocol: string): Promise<string> {
  let stream: Stream | undefined
  let release: (() => void) | undefined

  const seen = await observe(async ({ note }) => {
    const request = nextRequest()
    const got = Promise.withResolvers<string>()
    received.set(request, got)

    stream = await side.open(protocol)
    release = side.hold()
    stream.send(bytes(request))
    note(`send() returns ${stream.send(bytes(request))}`)

    const draining = stream.onDrain()
    note(await Promise.race([draining.then(() => 'has drained'), ticks(3, 'drains later')]))
    release()
    await draining

    await stream.close()
    await got.promise
  })

  release?.()
  stream?.abort(new Error('It is over'))

  return seen
}
