import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { pattern } from '../support/streams.ts'
import { checkName, HANDSHAKE_ERRORS } from './errors.ts'
import { check, messageOf, settled } from './promises.ts'
import { Reader } from './reader.ts'
import { record } from './record.ts'
import { turn } from '../support/wait.ts'
import type { Outcome } from './promises.ts'
import type { ReaderStyle } from './reader.ts'
import type { Stream } from '@libp2p/interface'

/**
 * What a user may do with a stream, `wait` and `giveUpAfter` are in ms
 */
type Step =
  { do: 'send', bytes: number, inPieces: boolean }
  | { do: 'send junk', junk: unknown }
  | { do: 'close', giveUpAfter?: number, awaited: boolean }
  | { do: 'closeRead' | 'pause' | 'resume' | 'abort' | 'read' | 'turn' }
  | { do: 'wait', wait: number }

export interface User {
  halfClose?: 'confirmed' | 'immediate'
  reader: ReaderStyle

  /**
   * In the end it reads, if it has not begun before
   */
  steps: Step[]
}

const step = fc.oneof(
  { weight: 4, arbitrary: record({ do: fc.constant('send' as const), bytes: fc.constantFrom(0, 1, 100, 4_096, 4_097, 20_000, 200_000), inPieces: fc.boolean() }) },
  { weight: 1, arbitrary: record({ do: fc.constant('send junk' as const), junk: fc.constantFrom(null, 'text', 5, {}, new ArrayBuffer(3)) }) },
  { weight: 3, arbitrary: record({ do: fc.constant('close' as const), giveUpAfter: fc.option(fc.nat(30), { nil: undefined, freq: 2 }), awaited: fc.boolean() }) },
  { weight: 6, arbitrary: record({ do: fc.constantFrom('read', 'read', 'turn', 'turn', 'pause', 'resume', 'closeRead', 'abort') }) },
  { weight: 1, arbitrary: record({ do: fc.constant('wait' as const), wait: fc.nat(25) }) }
) as fc.Arbitrary<Step>

export const user: fc.Arbitrary<User> = record({
  halfClose: fc.constantFrom(undefined, undefined, 'confirmed', 'immediate'),
  reader: fc.constantFrom('for await', 'events'),
  steps: fc.oneof(
    // read from the start on
    fc.array(step, { maxLength: 8 }).map(steps => [{ do: 'read' as const }, ...steps]),
    fc.array(step, { maxLength: 8 })
  )
})

/**
 * What a method of a stream throws once its user has closed or aborted it
 */
export const STATE_ERRORS = ['StreamStateError', 'AbortError', 'TimeoutError', 'UserError']

class UserError extends Error {
  override readonly name = 'UserError'
}

/**
 * Does what a user does, and keeps what came of it
 */
export class PlayedUser {
  readonly sent = new Uint8ArrayList()
  readonly closes: Array<Promise<Outcome<void>>> = []
  reader?: Reader

  /**
   * Whether its stream has not ended, and nothing had arrived that can be read,
   * when it began to read
   */
  readsFromTheStart = false
  hasAborted = false
  hasClosed = false
  hasClosedRead = false
  hasPaused = false
  readonly #stream: Stream
  readonly #user: User
  readonly #closeLimit: number

  constructor (stream: Stream, user: User, closeLimit: number) {
    this.#stream = stream
    this.#user = user
    this.#closeLimit = closeLimit
  }

  async play (): Promise<void> {
    for (const step of this.#user.steps) {
      try {
        await this.#do(step)
      } catch (err) {
        check(err instanceof Error, `${step.do} throws ${messageOf(err)}`)

        // whatever is wrong with it may say so in any way
        if (step.do !== 'send junk') {
          checkName(err, `${step.do} fails`, [...HANDSHAKE_ERRORS, ...STATE_ERRORS])
        }
      }
    }

    this.#read()

    if (this.#stream.readStatus === 'paused') {
      this.#stream.resume()
    }
  }

  async #do (step: Step): Promise<void> {
    switch (step.do) {
      case 'send':
        this.#send(pattern(step.bytes), step.inPieces)
        break
      case 'send junk':
        this.#stream.send(step.junk as Uint8Array)
        check(false, 'junk was taken')
        break
      case 'close':
        await this.#close(step.giveUpAfter, step.awaited)
        break
      case 'closeRead':
        this.hasClosedRead = true
        await this.#stream.closeRead()
        break
      case 'pause':
        this.hasPaused = true
        this.#stream.pause()
        break
      case 'resume':
        this.#stream.resume()
        break
      case 'abort':
        this.hasAborted = true
        this.#stream.abort(new UserError('The user has had enough'))
        break
      case 'read':
        this.#read()
        break
      case 'turn':
        await turn()
        break
      case 'wait':
        await delay(step.wait)
        break
      default:
        throw new Error('There is no such step')
    }
  }

  #send (data: Uint8Array, inPieces: boolean): void {
    const half = data.length >> 1

    this.#stream.send(inPieces ? new Uint8ArrayList(data.subarray(0, half), data.subarray(half)) : data)
    this.sent.append(data)
  }

  async #close (giveUpAfter: number | undefined, awaited: boolean): Promise<void> {
    this.hasClosed = true

    const signal = giveUpAfter == null ? undefined : AbortSignal.timeout(giveUpAfter)
    const closing = settled(this.#stream.close({ signal }), 'close()', this.#closeLimit)

    closing.catch(() => {})
    this.closes.push(closing)

    if (awaited) {
      await closing
    }
  }

  #read (): void {
    if (this.reader == null) {
      this.readsFromTheStart = this.#stream.status === 'open' && this.#stream.remoteWriteStatus === 'writable' && this.#stream.readBufferLength === 0
      this.reader = new Reader(this.#stream, this.#user.reader)
    }
  }
}
