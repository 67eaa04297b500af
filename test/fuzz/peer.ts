import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { record } from './record.ts'
import { cuts, dataLength, handshake, pieces } from './wire.ts'
import { turn } from '../support/wait.ts'
import type { RawStream } from './raw-listener.ts'
import type { Cuts, Handshake } from './wire.ts'
import type { Stream } from '@libp2p/interface'

/**
 * What the listener does with its end
 */
export interface Peer {
  echo: Handshake

  /**
   * Bytes behind the echo
   */
  data: number
  cuts: Cuts
  ends: 'fin' | 'reset' | 'never'
}

export const peer: fc.Arbitrary<Peer> = record({
  echo: handshake,
  data: dataLength,
  cuts,
  ends: fc.constantFrom('fin', 'fin', 'fin', 'reset', 'never')
})

/**
 * Does what a listener does, and keeps what it got
 */
export class PlayedPeer {
  readonly received = new Uint8ArrayList()
  receivedFin = false
  hasSentAll = false
  stream?: Stream
  handshake?: Uint8Array

  /**
   * When the last byte of the echo was sent
   */
  echoedAt = Infinity

  async play ({ stream, handshake }: RawStream, wire: Uint8Array, end: number | undefined, { cuts, ends }: Peer): Promise<void> {
    this.stream = stream
    this.handshake = handshake
    stream.addEventListener('message', ({ data }) => { this.received.append(data) })
    stream.addEventListener('remoteCloseWrite', () => { this.receivedFin = true })
    this.receivedFin = stream.remoteWriteStatus === 'closed'

    let sent = 0

    for (const { piece, then } of pieces(wire, cuts)) {
      if (stream.status !== 'open') {
        return
      }

      stream.send(piece)
      sent += piece.length

      if (end != null && sent >= end) {
        this.echoedAt = Math.min(this.echoedAt, performance.now())
      }

      if (then !== 'nothing') {
        await (then === 'turn' ? turn() : delay(5))
      }
    }

    this.hasSentAll = true

    if (ends === 'reset') {
      stream.abort(new Error('The peer has had enough'))
    } else if (ends === 'fin') {
      await stream.close()
    }
  }
}
