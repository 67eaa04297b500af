import { equals } from 'uint8arrays/equals'
import { withErrors } from '../../src/util/to-error.ts'
import { pattern } from '../support/streams.ts'
import { checkName, DOCUMENTED_ERRORS } from './errors.ts'
import { becomes, check, settled } from './promises.ts'
import { Reader } from './reader.ts'
import { turn } from '../support/wait.ts'
import type { Open } from './node-steps.ts'
import type { Stream } from '@libp2p/interface'

/**
 * How long anything may take, in ms: to dial, to wait, to negotiate, and to try once
 * more on another connection
 */
export const LIMIT = 10_000

export class KilledError extends Error {
  override readonly name = 'KilledError'
}

// what transports reject with is often just an Error
export const ERRORS = [...DOCUMENTED_ERRORS, 'KilledError', 'Error']

/**
 * Sends a request, ends it, and reads the answer, which is as long if nothing that
 * can be in the way has happened
 */
export async function exchange (stream: Stream, { bytes, reader: style, abort }: Open, expected: boolean): Promise<void> {
  const reader = new Reader(stream, style)
  const request = pattern(bytes)

  try {
    stream.send(request)
  } catch (err: any) {
    checkName(err, 'send() throws', ERRORS)
  }

  if (abort) {
    stream.abort(new KilledError())
  }

  // once it is confirmed it is libp2p's own stream, whose close() may reject with an event
  const closed = await settled(withErrors(stream.close()), 'close()', LIMIT)
  check(await becomes(() => reader.isOver || stream.status !== 'open', LIMIT), 'an exchange does not end', { protocol: stream.protocol, read: reader.read.byteLength, sent: bytes, status: stream.status, writeStatus: stream.writeStatus, remoteWriteStatus: stream.remoteWriteStatus })

  for (const error of [closed.error, reader.error]) {
    if (error != null) {
      check(error instanceof Error, 'a reader gets what is not an Error')
      checkName(error, 'an exchange fails', ERRORS)
      check(!expected, `an exchange fails though nothing was killed: ${error.name}: ${error.message}`)
    }
  }

  await turn()

  const read = reader.read.subarray()

  check(equals(read, request.subarray(0, read.length)), 'something else came back', { read: read.length, sent: bytes })
  check(!expected || read.length === bytes, 'less came back though nothing was killed', { read: read.length, sent: bytes })
}
