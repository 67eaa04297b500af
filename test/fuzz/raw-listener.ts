import { connectIdentified, createStockNode } from '../support/nodes.ts'
import { handleRaw } from '../support/raw-listener.ts'
import { becomes, check } from './promises.ts'
import type { OpenerServices, TransportName } from '../support/nodes.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

/**
 * More than are in use at a time, so that a stream that arrives after its case is
 * over is not taken for one of the next case
 */
const PROTOCOLS = Array.from({ length: 48 }, (_, i) => `/fuzz/${i}`)

/**
 * How long it may take until everything has been given back, in ms
 */
const GIVE_BACK = 3_000

/**
 * The end of a stream that the fuzzer plays: its handshake has been read and is not
 * answered yet
 */
export interface RawStream {
  stream: Stream
  handshake: Uint8Array
}

/**
 * A stock node whose streams are played by the fuzzer, and a connection to it
 */
export class RawListener {
  #next = 0
  readonly #dialer: Libp2p<OpenerServices>
  readonly #node: Libp2p
  readonly #connection: Connection
  readonly #expected: Map<string, (stream: RawStream) => void>

  constructor (dialer: Libp2p<OpenerServices>, node: Libp2p, connection: Connection, expected: Map<string, (stream: RawStream) => void>) {
    this.#dialer = dialer
    this.#node = node
    this.#connection = connection
    this.#expected = expected
  }

  static async start (dialer: Libp2p<OpenerServices>, transport: TransportName): Promise<RawListener> {
    const node = await createStockNode(transport)
    const expected = new Map<string, (stream: RawStream) => void>()

    await Promise.all(PROTOCOLS.map(async protocol => handleRaw(node, protocol, (stream, first) => {
      const take = expected.get(protocol)

      if (take == null) {
        stream.abort(new Error('This comes too late'))
      } else {
        take({ stream, handshake: first })
      }
    })))

    return new RawListener(dialer, node, await connectIdentified(dialer, node), expected)
  }

  get connection (): Connection {
    return this.#connection
  }

  /**
   * So that nothing that it has refused before keeps the dialer from trusting it
   */
  async identifyAgain (): Promise<void> {
    await this.#dialer.services.identify.identify(this.#connection)
  }

  /**
   * A protocol, and what is to be done with the stream of it
   */
  expect (take: (stream: RawStream) => void): string {
    const protocol = PROTOCOLS[this.#next++ % PROTOCOLS.length] ?? ''

    this.#expected.set(protocol, take)

    return protocol
  }

  async checkNothingIsLeft (): Promise<void> {
    this.#expected.clear()

    const { streamOpener } = this.#dialer.services
    const left = (): unknown => {
      const { open, negotiating, queued } = streamOpener.status(this.#node.peerId)
      const streams = this.#connection.streams.filter(({ protocol }) => PROTOCOLS.includes(protocol)).length

      return open + negotiating + queued + streams === 0 ? undefined : { open, negotiating, queued, streams }
    }

    if (!await becomes(() => left() == null, GIVE_BACK)) {
      check(false, 'something is left', left())
    }

    check(this.#connection.status === 'open', `the connection is ${this.#connection.status}`)
  }

  async stop (): Promise<void> {
    await this.#node.stop()
  }
}
