import { setTimeout as delay } from 'node:timers/promises'
import { Uint8ArrayList } from 'uint8arraylist'
import { turns } from '../support/wait.ts'
import type { Stream, StreamMessageEvent } from '@libp2p/interface'

/**
 * What a handler got
 */
export class Handled {
  readonly stream: Stream
  readonly read = new Uint8ArrayList()

  /**
   * How often it was told the end
   */
  ends = 0

  /**
   * How many bytes it had by then
   */
  readAtEnd = 0

  /**
   * `for await` of libp2p loses what is in the read buffer when it begins if the FIN
   * comes before the next microtask, guarded or not
   */
  mayLoseData = false

  /**
   * How often a listener was called that had been taken away
   */
  ghosts = 0

  constructor (stream: Stream) {
    this.stream = stream
  }

  readonly onMessage = ({ data }: StreamMessageEvent): void => { this.read.append(data) }
  readonly onEnd = (): void => {
    this.ends++
    this.readAtEnd = this.read.byteLength
  }

  readonly onGhost = (): void => { this.ghosts++ }

  async iterate (): Promise<void> {
    this.mayLoseData = this.stream.readBufferLength > 0 && this.stream.remoteWriteStatus === 'writable'

    for await (const chunk of this.stream) {
      this.read.append(chunk)
    }

    this.onEnd()
  }
}

/**
 * The ways in which handlers wait for the end of a request
 */
export const STYLES: Record<string, (handled: Handled) => void | Promise<void>> = {
  forAwait: async handled => handled.iterate(),

  forAwaitLate: async handled => {
    await turns(10)

    await handled.iterate()
  },

  events: ({ stream, onMessage, onEnd }) => {
    stream.addEventListener('message', onMessage)
    stream.addEventListener('remoteCloseWrite', onEnd)
  },

  eventsLate: async ({ stream, onMessage, onEnd }) => {
    await delay(5)
    stream.addEventListener('message', onMessage)
    stream.addEventListener('remoteCloseWrite', onEnd)
  },

  endFirst: ({ stream, onMessage, onEnd }) => {
    stream.addEventListener('remoteCloseWrite', onEnd)
    stream.addEventListener('message', onMessage)
  },

  endEvent: ({ stream, onMessage, onEnd }) => {
    stream.addEventListener('message', onMessage)
    stream.addEventListener('end', onEnd)
  },

  endEventFirst: ({ stream, onMessage, onEnd }) => {
    stream.addEventListener('end', onEnd)
    stream.addEventListener('message', onMessage)
  },

  endEventLongBefore: async ({ stream, onMessage, onEnd }) => {
    stream.addEventListener('end', onEnd)
    await delay(5)
    stream.addEventListener('message', onMessage)
  },

  objects: ({ stream, onMessage, onEnd }) => {
    stream.addEventListener('message', { handleEvent: onMessage })
    stream.addEventListener('remoteCloseWrite', { handleEvent: onEnd }, { once: true })
  },

  removed: ({ stream, onMessage, onEnd, onGhost }) => {
    stream.addEventListener('remoteCloseWrite', onGhost)
    stream.removeEventListener('remoteCloseWrite', onGhost)
    stream.addEventListener('message', onMessage)
    stream.addEventListener('remoteCloseWrite', onEnd)
  },

  aborted: ({ stream, onMessage, onEnd, onGhost }) => {
    const controller = new AbortController()

    stream.addEventListener('remoteCloseWrite', onGhost, { signal: controller.signal })
    controller.abort()
    stream.addEventListener('message', onMessage)
    stream.addEventListener('remoteCloseWrite', onEnd)
  },

  twice: ({ stream, onMessage, onEnd }) => {
    stream.addEventListener('message', onMessage)
    stream.addEventListener('remoteCloseWrite', onEnd)
    stream.addEventListener('remoteCloseWrite', onEnd)
  }
}
