/**
 * Programs that send a request, end it, and only then begin to read
 */
import { bytes } from '../support/streams.ts'
import { nameOf, observe, tick } from './observe.ts'
import { nextRequest } from './request.ts'
import { turn } from '../support/wait.ts'
import type { Observer } from './observe.ts'
import type { Reader } from './readers.ts'
import type { Side } from './side.ts'
import type { Stream } from '@libp2p/interface'

const LATE = 'after the answer'

/**
 * What a program does between `close()` and reading
 */
export const STARTS: Record<string, (stream: Stream) => Promise<void>> = {
  'at once': async () => {},
  'after a turn': turn,
  [LATE]: async stream => {
    // what a listener in the same process does is done within a few turns
    for (let i = 0; i < 50 && stream.remoteWriteStatus !== 'closed'; i++) {
      await turn()
    }
  }
}

/**
 * With stock this would be too late, so what ours does is compared with what stock does
 * at once: a stream of stock's would not have been there that early
 */
export function isTooLate ({ how, isFar }: Side, start: string): boolean {
  return how === 'stock' && (start === LATE || (start === 'after a turn' && !isFar))
}

/**
 * Sends a request, ends it, and begins to wait for the answer: the function returns a
 * promise for its end. The listener is far away, so the answer has not come before
 * that, unless the start is late.
 */
async function closeThen (side: Side, protocol: string, start: string, begin: (stream: Stream, request: string, observer: Observer) => Promise<void>): Promise<string> {
  let stream: Stream | undefined
  let release: (() => void) | undefined

  const seen = await observe(async observer => {
    const request = nextRequest()

    stream = await side.open(protocol)
    release = side.hold()
    stream.send(bytes(request))

    const closing = stream.close().catch(err => { observer.note(`close() rejects with ${nameOf(err)}`) })
    // how long it takes is seen elsewhere
    await Promise.race([closing, tick()])

    if (start === LATE) {
      release()
    }

    const begun = closing.then(async () => STARTS[start]?.(stream as Stream)).then(() => ({ end: begin(stream as Stream, request, observer) }))
    await Promise.race([begun, tick()])
    release()

    await (await begun).end
  })

  release?.()
  stream?.abort(new Error('It is over'))

  return seen
}

/**
 * What a program sees that reads the answer in this way
 */
export async function closeThenRead (side: Side, protocol: string, read: Reader, start: string): Promise<string> {
  return closeThen(side, protocol, start, async (stream, _, { receive }) => {
    const reading = read(stream, receive)

    if (protocol === 'never answers') {
      await turn()
      stream.abort(new Error('Enough'))
    }

    await reading
  })
}

/**
 * What a program sees that waits for the answer on another stream
 */
export async function closeThenListen (side: Side, protocol: string, start: string): Promise<string> {
  return closeThen(side, protocol, start, async (_, request) => {
    await new Promise<void>(resolve => {
      side.elsewhere.addEventListener(request, () => { resolve() }, { once: true })
    })
  })
}
