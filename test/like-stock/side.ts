import { addressOf, connectIdentified } from '../support/nodes.ts'
import { openElsewhere } from './elsewhere.ts'
import type { NodeInit, OpenerServices, TestServices } from '../support/nodes.ts'
import type { Relay } from '../support/relay.ts'
import type { Connection, Libp2p, NewStreamOptions, Stream } from '@libp2p/interface'

/**
 * How a dialer opens streams
 */
export type How = 'stock' | 'newStream' | 'intercept'

export interface SideInit {
  how: How
  dialer: Libp2p<TestServices>
  listener: Libp2p<TestServices>
  name: string

  /**
   * Tells of the answers that do not come on the stream of the request
   */
  elsewhere: EventTarget

  /**
   * What the connection goes through, where it has a socket
   */
  relay?: Relay

  /**
   * Another dialer of the kind
   */
  createDialer(init?: NodeInit): Promise<Libp2p<TestServices>>
}

/**
 * A node, and its connection to the listener
 */
export interface NewDialer {
  node: Libp2p<TestServices>
  connection: Connection
}

/**
 * One dialer and its connection to one listener
 */
export class Side {
  readonly name: string
  readonly how: How
  readonly elsewhere: EventTarget
  readonly #init: SideInit
  #connection?: Connection
  #holds = 0

  constructor (init: SideInit) {
    this.name = init.name
    this.how = init.how
    this.elsewhere = init.elsewhere
    this.#init = init
  }

  /**
   * The connection that streams are opened on unless another dialer is named
   */
  get connection (): Connection {
    if (this.#connection == null) {
      throw new Error('It is not connected')
    }

    return this.#connection
  }

  /**
   * Whether it can be held. In memory an answer takes no more than a turn or two.
   */
  get isFar (): boolean {
    return this.#init.relay != null
  }

  /**
   * Nothing that the listener sends arrives until the function is called, as if it were
   * far away
   */
  hold (): () => void {
    let isHeld = true
    this.#holds++
    this.#init.relay?.hold()

    return () => {
      if (isHeld) {
        isHeld = false
        this.#holds--

        if (this.#holds === 0) {
          this.#init.relay?.release()
        }
      }
    }
  }

  /**
   * The peer has said what it speaks, so it is taken to speak what it has refused
   * since
   */
  async identify (): Promise<void> {
    const { dialer, listener, relay } = this.#init

    try {
      await dialer.services.identify.identify(this.connection)
    } catch {
      await dialer.hangUp(listener.peerId)
      this.#connection = await connectIdentified(dialer, listener, relay?.addr)
    }

    await Promise.all(listener.getConnections(dialer.peerId).map(openElsewhere))
  }

  /**
   * Identify has yet to come
   */
  async redial (): Promise<void> {
    const { dialer, listener, relay } = this.#init

    await this.#connection?.close()
    this.#connection = await dialer.dial(relay?.addr ?? addressOf(listener))
  }

  /**
   * Nothing but what identify says is known of the listener
   */
  async reconnect (): Promise<void> {
    await this.#connection?.close()
    await this.identify()
  }

  /**
   * A node that can be stopped
   */
  async newDialer (state: string, init?: NodeInit): Promise<NewDialer> {
    const { listener, createDialer } = this.#init
    const node = await createDialer(init)

    return {
      node,
      connection: state === 'identified' ? await connectIdentified(node, listener) : await node.dial(addressOf(listener))
    }
  }

  async open (protocols: string | string[], options?: NewStreamOptions, dialer?: NewDialer): Promise<Stream> {
    const { node, connection } = dialer ?? { node: this.#init.dialer, connection: this.connection }

    return this.how === 'newStream'
      ? (node as unknown as Libp2p<OpenerServices>).services.streamOpener.newStreamOn(connection, protocols, options)
      : connection.newStream(protocols, options)
  }
}
