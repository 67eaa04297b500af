/**
 * What `close()` waits for
 */
import { bytes, pattern } from '../support/streams.ts'
import { arrived } from './arrivals.ts'
import { nameOf, observe, ticks } from './observe.ts'
import { nextRequest, REQUEST_LENGTH } from './request.ts'
import type { Side } from './side.ts'
import type { Stream } from '@libp2p/interface'

/**
 * What is written to the stream before, behind the request
 */
export const WRITES: Record<string, number[]> = {
  'a request': [],
  'a request in several writes': [300, 300, 300],
  'a request of 64 KiB': [65_536]
}

/**
 * Writes and closes while not one byte of the listener arrives, which is no reason to
 * wait. All that was written arrives, and its end.
 */
export async function closeWhileHeld (side: Side, protocol: string, write: string): Promise<string> {
  const sizes = WRITES[write] ?? []
  let stream: Stream | undefined
  let release: (() => void) | undefined

  const seen = await observe(async ({ note }) => {
    const request = nextRequest()
    const length = sizes.reduce((sum, size) => sum + size, REQUEST_LENGTH)

    stream = await side.open(protocol)
    release = side.hold()
    stream.send(bytes(request))
    sizes.forEach(size => { stream?.send(pattern(size)) })

    const closing = stream.close().then(() => 'close() resolves', err => `close() rejects with ${nameOf(err)}`)
    note(await Promise.race([closing, ticks(4, 'close() waits for the listener')]))
    release()

    await closing
    await arrived(request, length, true)
  })

  release?.()
  stream?.abort(new Error('It is over'))

  return seen
}
