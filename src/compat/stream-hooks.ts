import type { MuxedStream } from './muxer-access.ts'
import type { Override } from '../util/override.ts'

/**
 * Where data, and the end of it, come in and go out
 */
export type StreamMethods = Pick<MuxedStream, 'send' | 'close' | 'onData' | 'onRemoteCloseWrite' | 'onTransportClosed' | 'sendCloseRead' | 'sendCloseWrite'>

/**
 * The FIN may go its own way
 */
export type StreamHooks = Omit<StreamMethods, 'sendCloseWrite'> & Partial<StreamMethods>

/**
 * What `override` does, but each by its name: V8 does not optimise a loop over names,
 * and that was the most expensive part of an open.
 */
export function hookStream (stream: MuxedStream, hooks: StreamHooks): Override<StreamMethods> {
  const { send, close, onData, onRemoteCloseWrite, onTransportClosed, sendCloseRead, sendCloseWrite } = stream

  stream.send = hooks.send
  stream.close = hooks.close
  stream.onData = hooks.onData
  stream.onRemoteCloseWrite = hooks.onRemoteCloseWrite
  stream.onTransportClosed = hooks.onTransportClosed
  stream.sendCloseRead = hooks.sendCloseRead

  if (hooks.sendCloseWrite != null) {
    stream.sendCloseWrite = hooks.sendCloseWrite
  }

  return {
    original: { send, close, onData, onRemoteCloseWrite, onTransportClosed, sendCloseRead, sendCloseWrite },
    restore: () => {
      stream.send = stream.send === hooks.send ? send : stream.send
      stream.close = stream.close === hooks.close ? close : stream.close
      stream.onData = stream.onData === hooks.onData ? onData : stream.onData
      stream.onRemoteCloseWrite = stream.onRemoteCloseWrite === hooks.onRemoteCloseWrite ? onRemoteCloseWrite : stream.onRemoteCloseWrite
      stream.onTransportClosed = stream.onTransportClosed === hooks.onTransportClosed ? onTransportClosed : stream.onTransportClosed
      stream.sendCloseRead = stream.sendCloseRead === hooks.sendCloseRead ? sendCloseRead : stream.sendCloseRead

      if (stream.sendCloseWrite === hooks.sendCloseWrite) {
        stream.sendCloseWrite = sendCloseWrite
      }
    }
  }
}
