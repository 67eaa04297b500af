/**
 * What has arrived at the listeners of this process
 */
import { Uint8ArrayList } from 'uint8arraylist'
import { REQUEST_LENGTH } from './request.ts'
import type { Connection, PeerId, Stream } from '@libp2p/interface'

interface Arrival {
  bytes: number
  ended: boolean
}

const arrivals = new Map<string, Arrival>()
const callers = new Set<string>()
const waiting = new Set<() => void>()

/**
 * A handler that takes note of what it reads `for await`, and of the end. It begins
 * with a request.
 */
export async function takeNote (stream: Stream, { remotePeer }: Connection): Promise<void> {
  callers.add(remotePeer.toString())
  waiting.forEach(look => { look() })

  const arrival = { bytes: 0, ended: false }
  const start = new Uint8ArrayList()

  for await (const chunk of stream) {
    if (start.byteLength < REQUEST_LENGTH) {
      start.append(chunk)
      arrivals.set(new TextDecoder().decode(start.subarray(0, REQUEST_LENGTH)), arrival)
    }

    arrival.bytes += chunk.byteLength
    waiting.forEach(look => { look() })
  }

  arrival.ended = true
  waiting.forEach(look => { look() })
  await stream.close()
}

async function untilNoted (isSo: () => boolean): Promise<void> {
  await new Promise<void>(resolve => {
    const look = (): void => {
      if (isSo()) {
        waiting.delete(look)
        resolve()
      }
    }
    waiting.add(look)
    look()
  })
}

/**
 * Resolves when the peer has had the handler called
 */
export async function calledBy (peerId: PeerId): Promise<void> {
  await untilNoted(() => callers.has(peerId.toString()))
}

/**
 * Resolves when so many bytes of the request have arrived, and the end if it is to be
 * waited for
 */
export async function arrived (request: string, bytes = REQUEST_LENGTH, end = false): Promise<void> {
  await untilNoted(() => {
    const arrival = arrivals.get(request)

    return arrival != null && arrival.bytes >= bytes && (arrival.ended || !end)
  })
}
