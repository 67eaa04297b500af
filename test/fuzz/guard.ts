import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { equals } from 'uint8arrays/equals'
import { streamOpener } from '../../src/index.ts'
import { addressOf, createStockNode, identified, stopNodes, TRANSPORTS } from '../support/nodes.ts'
import { replacedMethods } from '../support/streams.ts'
import { Handled, STYLES } from './guard-styles.ts'
import { allOver, becomes, check } from './promises.ts'
import { record } from './record.ts'
import { endOfEcho } from './reference.ts'
import { timersLeft } from './timers.ts'
import { cuts, dataLength, handshake, pieces, wireOf } from './wire.ts'
import { turn } from '../support/wait.ts'
import type { Fuzzer } from './fuzzer.ts'
import type { Cuts, Handshake } from './wire.ts'
import type { TransportName } from '../support/nodes.ts'
import type { Connection, Libp2p, Stream, StreamMuxer } from '@libp2p/interface'

/**
 * In ms
 */
const LIMIT = 4_000

/**
 * How long libp2p gives a dialer to send its handshake, in ms
 */
const NEGOTIATION_TIMEOUT = 1_000

/**
 * What a dialer does
 */
interface Dialer {
  /**
   * How the handler reads
   */
  style: string
  handshake: Handshake
  data: number
  cuts: Cuts
  ends: 'fin' | 'reset' | 'never'
}

interface GuardCase {
  transport: TransportName

  /**
   * At the same time, on one connection
   */
  dialers: Dialer[]
}

const dialer: fc.Arbitrary<Dialer> = record({
  style: fc.constantFrom(...Object.keys(STYLES)),
  handshake,
  data: dataLength,
  cuts,
  ends: fc.constantFrom('fin', 'fin', 'fin', 'reset', 'never')
})

async function write (stream: Stream, wire: Uint8Array, { cuts, ends }: Dialer): Promise<void> {
  for (const { piece, then } of pieces(wire, cuts)) {
    if (stream.status !== 'open') {
      return
    }

    if (!stream.send(piece)) {
      await stream.onDrain()
    }

    if (then !== 'nothing') {
      await (then === 'turn' ? turn() : delay(5))
    }
  }

  if (ends === 'reset') {
    stream.abort(new Error('The dialer has had enough'))
  } else if (ends === 'fin') {
    await stream.close()
  }
}

/**
 * A node that guards its handlers, and a connection of one that negotiates by hand
 */
class Guarded {
  readonly #node: Libp2p
  readonly #connection: Connection
  readonly #handled: Map<string, Handled>
  readonly #playing: Set<string>

  constructor (node: Libp2p, connection: Connection, handled: Map<string, Handled>, playing: Set<string>) {
    this.#node = node
    this.#connection = connection
    this.#handled = handled
    this.#playing = playing
  }

  static async start (dialer: Libp2p, transport: TransportName): Promise<Guarded> {
    const handled = new Map<string, Handled>()
    const playing = new Set<string>()
    const node = await createStockNode(transport, {
      connectionManager: { inboundStreamProtocolNegotiationTimeout: NEGOTIATION_TIMEOUT },
      services: { streamOpener: streamOpener() }
    })

    // a style has one stream at a time
    await Promise.all(Object.entries(STYLES).map(async ([style, handle]) => node.handle(`/${style}`, async stream => {
      if (!playing.has(style)) {
        stream.abort(new Error('This comes too late'))

        return
      }

      const entry = new Handled(stream)

      handled.set(style, entry)
      await handle(entry)
    })))

    const [connection] = await Promise.all([dialer.dial(addressOf(node)), identified(dialer, node)])

    return new Guarded(node, connection, handled, playing)
  }

  async play (dialer: Dialer): Promise<void> {
    const { style, ends } = dialer
    const protocol = `/${style}`
    const wire = wireOf(dialer.handshake, protocol, dialer.data)
    const end = endOfEcho(wire, protocol)
    const { muxer } = this.#connection as Connection & { muxer: StreamMuxer }
    const stream = await muxer.createStream()

    // whatever it is answered
    stream.addEventListener('message', () => {})
    this.#handled.delete(style)
    this.#playing.add(style)

    try {
      write(stream, wire, dialer).catch(() => {})

      if (end != null && ends === 'fin') {
        await this.#checkHandled(style, wire.subarray(end))
      } else {
        await becomes(() => stream.status !== 'open', NEGOTIATION_TIMEOUT / 10)
      }
    } finally {
      const handled = this.#handled.get(style)

      this.#playing.delete(style)
      stream.abort(new Error('The case is over'))
      handled?.stream.abort(new Error('The case is over'))
      check((handled?.ghosts ?? 0) === 0, `${style}: a listener is called that was taken away`)
    }
  }

  async #checkHandled (style: string, sent: Uint8Array): Promise<void> {
    await becomes(() => (this.#handled.get(style)?.ends ?? 0) > 0, LIMIT)
    await turn()
    await turn()

    const handled = this.#handled.get(style)
    check(handled != null, `${style}: the handler is not called`)

    const { ends, read, readAtEnd, stream: { status, readStatus, remoteWriteStatus } } = handled
    const context = { read: read.byteLength, readAtEnd, sent: sent.length, status, readStatus, remoteWriteStatus }

    check(ends === 1, `${style}: the handler is told the end ${ends} times`, context)
    check(handled.mayLoseData || equals(read.subarray(), sent), `${style}: the handler did not get what was sent`, context)
    check(!style.startsWith('endEvent') || readAtEnd === sent.length, `${style}: the end comes before the data`, context)
    check(replacedMethods(handled.stream).length === 0, `${style}: methods of a stream that has ended are replaced`, replacedMethods(handled.stream))
  }

  async checkNothingIsLeft (): Promise<void> {
    const left = (): string[] => this.#node.getConnections().flatMap(({ streams }) => streams)
      .filter(({ protocol }) => !protocol.startsWith('/ipfs/'))
      .map(({ protocol, status }) => `${protocol} ${status}`)

    check(await becomes(() => left().length === 0, LIMIT), 'inbound streams are left', left())
    check(this.#connection.status === 'open', `the connection is ${this.#connection.status}`)
  }

  async stop (): Promise<void> {
    await this.#node.stop()
  }
}

export const guard: Fuzzer<GuardCase> = {
  name: 'guard',
  about: 'Hostile dialers, and handlers of every style with the listener guard: after a right handshake a handler gets all data, and the end once',
  cases: record({
    transport: fc.constantFrom(...TRANSPORTS),
    dialers: fc.uniqueArray(dialer, { minLength: 1, maxLength: 8, selector: ({ style }) => style })
  }),
  long: 500,
  start: async () => {
    const timers = timersLeft()
    const dialer = await createStockNode(undefined)
    const listeners = new Map<TransportName, Guarded>()

    return {
      play: async ({ transport, dialers }) => {
        const listener = listeners.get(transport) ?? await Guarded.start(dialer, transport)
        listeners.set(transport, listener)

        await allOver(dialers.map(async dialer => listener.play(dialer)))
        await listener.checkNothingIsLeft()
      },
      stop: async () => {
        await Promise.all([...listeners.values()].map(async listener => listener.stop()))
        await stopNodes(dialer)
        await timers.checkNoneAreLeft()
      }
    }
  }
}
