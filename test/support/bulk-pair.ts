/**
 * What the tests of transfers begin with
 */
import { addressOf, connectIdentified, createOpenerNode, createStockNode, stopNodes } from './nodes.ts'
import type { OpenerServices, TransportName } from './nodes.ts'
import type { Libp2p, Stream } from '@libp2p/interface'

export const BULK = '/bulk/1.0.0'

/**
 * A node that opens streams, one that takes them, and the connection between them
 */
export class BulkPair {
  #inbound = Promise.withResolvers<Stream>()
  readonly dialer: Libp2p<OpenerServices>
  readonly listener: Libp2p

  private constructor (dialer: Libp2p<OpenerServices>, listener: Libp2p) {
    this.dialer = dialer
    this.listener = listener
  }

  static async start (transport: TransportName): Promise<BulkPair> {
    const pair = new BulkPair(await createOpenerNode(), await createStockNode(transport))

    await pair.listener.handle(BULK, stream => { pair.#inbound.resolve(stream) })
    await connectIdentified(pair.dialer, pair.listener)

    return pair
  }

  /**
   * The other end arrives when the handshake has been sent
   */
  async openOutbound (): Promise<{ outbound: Stream, arriving: Promise<Stream> }> {
    this.#inbound = Promise.withResolvers()

    return {
      outbound: await this.dialer.services.streamOpener.newStream(addressOf(this.listener), BULK),
      arriving: this.#inbound.promise
    }
  }

  /**
   * Both ends of a stream
   */
  async open (): Promise<{ outbound: Stream, remote: Stream }> {
    const { outbound, arriving } = await this.openOutbound()

    return { outbound, remote: await arriving }
  }

  abortStreams (): void {
    for (const connection of [...this.dialer.getConnections(), ...this.listener.getConnections()]) {
      for (const stream of connection.streams) {
        if (stream.protocol === BULK) {
          stream.abort(new Error('The test is over'))
        }
      }
    }
  }

  async stop (): Promise<void> {
    await stopNodes(this.dialer, this.listener)
  }
}
