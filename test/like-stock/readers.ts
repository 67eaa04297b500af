/**
 * How programs read an answer. Each reads to the end of it, and fails if there is
 * an error to be seen in that way.
 */
import { byteStream, lpStream, pbStream } from '@libp2p/utils'
import { pipe } from 'it-pipe'
import { turn } from '../support/wait.ts'
import type { Stream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'

export type Receive = (data: Uint8Array) => void

export type Reader = (stream: Stream, receive: Receive) => Promise<void>

/**
 * Messages that are their own encoding
 */
const codec = {
  encode: (message: Uint8Array): Uint8Array => message,
  decode: (data: Uint8Array | Uint8ArrayList): Uint8Array => data.subarray()
}

/**
 * Until one of these events comes, or an error
 */
async function listen (stream: Stream, receive: Receive, event: 'remoteCloseWrite' | 'end' | 'close'): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.addEventListener('message', evt => { receive(evt.data.subarray()) })
    stream.addEventListener(event, evt => {
      const { error } = evt as { error?: Error }

      if (error == null) {
        resolve()
      } else {
        reject(error)
      }
    })

    if (event === 'remoteCloseWrite') {
      stream.addEventListener('close', evt => { reject(evt.error ?? new Error('Closed before its end was seen')) })
    }
  })
}

export const READERS: Record<string, Reader> = {
  'for await': async (stream, receive) => {
    for await (const chunk of stream) {
      receive(chunk.subarray())
    }
  },

  byteStream: async (stream, receive) => {
    const reader = byteStream(stream)

    for (let chunk = await reader.read(); chunk != null; chunk = await reader.read()) {
      receive(chunk.subarray())
    }
  },

  'byteStream, as many bytes as it expects': async (stream, receive) => {
    receive((await byteStream(stream).read({ bytes: 7 })).subarray())
  },

  // these only end with an error
  lpStream: async (stream, receive) => {
    const reader = lpStream(stream)

    while (true) {
      receive((await reader.read()).subarray())
    }
  },

  pbStream: async (stream, receive) => {
    const reader = pbStream(stream).pb(codec)

    while (true) {
      receive(await reader.read())
    }
  },

  'it-pipe': async (stream, receive) => {
    await pipe(stream, async source => {
      for await (const chunk of source) {
        receive(chunk.subarray())
      }
    })
  },

  'message and remoteCloseWrite': async (stream, receive) => listen(stream, receive, 'remoteCloseWrite'),

  'message and end': async (stream, receive) => listen(stream, receive, 'end'),

  'message and close': async (stream, receive) => listen(stream, receive, 'close'),

  'message and its state': async (stream, receive) => {
    stream.addEventListener('message', evt => { receive(evt.data.subarray()) })

    while (stream.remoteWriteStatus !== 'closed' || stream.readBufferLength > 0) {
      await turn()
    }

    if (stream.status === 'reset' || stream.status === 'aborted') {
      throw new Error(`The stream is ${stream.status}`)
    }
  }
}
