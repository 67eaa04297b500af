import { byteStream } from '@libp2p/utils'
import { bytes } from '../support/streams.ts'
import type { Connection, Stream } from '@libp2p/interface'

/**
 * What a listener does with a request
 */
export type Answer = (stream: Stream, connection: Connection) => Promise<void>

export const REQUEST_LENGTH = 8

let requests = 0

/**
 * No two are the same
 */
export function nextRequest (): string {
  return `${requests++}`.padStart(REQUEST_LENGTH, '-')
}

/**
 * Without waiting for its end
 */
export async function readRequest (stream: Stream): Promise<Uint8Array> {
  const reader = byteStream(stream)
  const request = await reader.read({ bytes: REQUEST_LENGTH })
  reader.unwrap()

  return request.subarray()
}

/**
 * With its length in front, for those who read messages
 */
export const ANSWER = Uint8Array.from([6, ...bytes('answer')])
