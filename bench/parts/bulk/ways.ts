import { StreamStateError } from '@libp2p/interface'
import { sendBulk } from '../../../src/index.ts'
import { BULK_READER, STOCK_READER } from './listener.ts'
import type { Pipe } from './pipe.ts'
import type { Stream } from '@libp2p/interface'

/**
 * How bulk data is sent, and read by the listener
 */
export interface Way {
  name: string

  /**
   * Whether libp2p opens the stream, or a session of this package does
   */
  isStock: boolean
  reader: string
  send(stream: Stream, source: Iterable<Uint8Array>): Promise<unknown>
}

/**
 * As people write it. After the first time `onDrain` resolves at once, so this does
 * not wait for anything: what the connection does not take stays in memory.
 */
async function plainLoop (stream: Stream, source: Iterable<Uint8Array>): Promise<void> {
  for (const chunk of source) {
    if (!stream.send(chunk)) {
      await stream.onDrain()
    }
  }

  await stream.close()
}

async function drained (stream: Stream): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onDrain = (): void => { resolve() }
  const onClose = (): void => { reject(new StreamStateError('The stream was closed')) }

  stream.addEventListener('drain', onDrain)
  stream.addEventListener('close', onClose)

  try {
    await promise
  } finally {
    stream.removeEventListener('drain', onDrain)
    stream.removeEventListener('close', onClose)
  }
}

/**
 * What the loop means to do
 */
async function waitingLoop (stream: Stream, source: Iterable<Uint8Array>): Promise<void> {
  for (const chunk of source) {
    if (!stream.send(chunk)) {
      await drained(stream)
    }
  }

  await stream.close()
}

export const PLAIN: Way = { name: 'stock, plain loop', isStock: true, reader: STOCK_READER, send: plainLoop }
export const WAITING: Way = { name: 'stock, waits for drain', isStock: true, reader: STOCK_READER, send: waitingLoop }
export const SEND_BULK: Way = { name: 'sendBulk', isStock: false, reader: STOCK_READER, send: sendBulk }
export const BOTH_ENDS: Way = { name: 'sendBulk, receiveBulk', isStock: false, reader: BULK_READER, send: sendBulk }

export const WAYS: Way[] = [PLAIN, WAITING, SEND_BULK, BOTH_ENDS]

export async function readJson (stream: Stream): Promise<unknown> {
  const decoder = new TextDecoder()
  let text = ''

  for await (const chunk of stream) {
    text += decoder.decode(chunk.subarray(), { stream: true })
  }

  return JSON.parse(text)
}

export function pipeOf (stream: Stream, { send }: Way): Pipe {
  return {
    answer: readJson(stream).then(Number),
    buffered: () => stream.writeBufferLength,
    send: async source => send(stream, source)
  }
}
