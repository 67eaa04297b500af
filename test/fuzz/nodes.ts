import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { closeSocketOf, leavesSocketsOpen } from '../../src/compat/websocket-close.ts'
import { streamOpener, transportOf } from '../../src/index.ts'
import { addressOf, connectIdentified, createStockNode, stopNodes, TRANSPORTS } from '../support/nodes.ts'
import { replacedMethods } from '../support/streams.ts'
import { checkName } from './errors.ts'
import { ERRORS, exchange, KilledError, LIMIT } from './node-exchange.ts'
import { HANDLERS, isCalm, mustSucceed, step } from './node-steps.ts'
import { allOver, becomes, check, settled } from './promises.ts'
import { record } from './record.ts'
import { timersLeft } from './timers.ts'
import { turn } from '../support/wait.ts'
import type { Fuzzer } from './fuzzer.ts'
import type { Open, Step } from './node-steps.ts'
import type { OpenerServices, TransportName } from '../support/nodes.ts'
import type { Connection, Libp2p, MultiaddrConnection, Stream } from '@libp2p/interface'

/**
 * How long a peer may take to answer, and how long a call waits while nothing moves,
 * in ms
 */
const TIMEOUT = 1_000

interface NodesCase {
  transport: TransportName
  steps: Step[]
}

type Node = Libp2p<OpenerServices>

/**
 * Two nodes that both have the service, with all that it can do
 */
class Pair {
  readonly #nodes: Node[]

  constructor (nodes: Node[]) {
    this.#nodes = nodes
  }

  static async start (transport: TransportName): Promise<Pair> {
    const nodes = await Promise.all([0, 1].map(async () => createStockNode<OpenerServices>(transport, {
      services: {
        streamOpener: streamOpener({ intercept: true, negotiationTimeout: TIMEOUT, queueTimeout: TIMEOUT, maxStreamsPerProtocol: 4 })
      }
    })))
    const pair = new Pair(nodes)

    await pair.#restore()

    return pair
  }

  async play (steps: Step[]): Promise<void> {
    const calm = isCalm(steps)
    const running: Array<Promise<void>> = []

    // what is opened over connections that are about to go is for other cases
    if (this.#node(0).getConnections(this.#node(1).peerId).every(({ status }) => status !== 'open')) {
      await connectIdentified(this.#node(0), this.#node(1))
    }

    for (const step of steps) {
      if (step.do === 'open') {
        const opening = this.#open(step, calm)

        // it is looked at in the end
        opening.catch(() => {})
        running.push(opening)
      } else if (step.do === 'finish') {
        await Promise.allSettled(running)
      } else {
        await this.#do(step)
      }
    }

    try {
      await allOver(running)
    } finally {
      await this.#restore()
    }

    await this.#checkNothingIsLeft()
  }

  #node (at: number): Node {
    const node = this.#nodes[at]

    if (node == null) {
      throw new Error('There is no such node')
    }

    return node
  }

  async #do (step: Exclude<Step, Open>): Promise<void> {
    switch (step.do) {
      case 'kill':
        this.#kill(this.#node(step.at), this.#node(1 - step.at), step.how)
        break
      case 'unhandle':
        await this.#node(step.at).unhandle(step.protocol)
        break
      case 'handle':
        await handle(this.#node(step.at), step.protocol)
        break
      case 'restart':
        await this.#node(step.at).stop()
        await this.#node(step.at).start()
        break
      case 'wait':
        await delay(step.wait)
        break
      case 'turn':
      case 'finish':
        await turn()
        break
      default:
        throw new Error('There is no such step')
    }
  }

  #kill (node: Node, peer: Node, how: string): void {
    const [connection] = node.getConnections(peer.peerId) as Array<Connection & { maConn: MultiaddrConnection }>

    // over WebSockets the peer would never know
    if (connection != null && leavesSocketsOpen(transportOf(connection))) {
      closeSocketOf(connection.maConn)
    }

    switch (how) {
      case 'abort':
        connection?.abort(new KilledError())
        break
      case 'close':
        connection?.close().catch(() => {})
        break
      case 'hangUp':
        node.hangUp(peer.peerId).catch(() => {})
        break
      default:
        connection?.maConn.abort(new KilledError())
    }
  }

  async #open (open: Open, calm: boolean): Promise<void> {
    const { value: stream, error } = await settled(this.#openStream(open), open.how, LIMIT)
    const expected = calm && mustSucceed(open)

    if (stream == null) {
      check(!expected || error == null, `${open.how} rejects though nothing was killed: ${error?.name}: ${error?.message}`)

      if (error != null) {
        checkName(error, `${open.how} rejects`, ERRORS)
      }

      return
    }

    try {
      await exchange(stream, open, expected)
    } finally {
      stream.abort(new Error('The case is over'))
    }

    await turn()
    check(replacedMethods(stream).length === 0, 'methods of a stream that is over are replaced', replacedMethods(stream))
  }

  async #openStream ({ at, how, protocols, options: given, signal }: Open): Promise<Stream | undefined> {
    const node = this.#node(at)
    const peer = this.#node(1 - at)
    const { services: { streamOpener } } = node
    const options = { ...given, signal: signal == null ? undefined : AbortSignal.timeout(signal) }
    const [connection] = node.getConnections(peer.peerId)

    switch (how) {
      case 'newStream':
        return streamOpener.newStream(connection == null ? addressOf(peer) : peer.peerId, protocols, options)
      case 'newStream by address':
        return streamOpener.newStream(addressOf(peer), protocols, options)
      case 'dialProtocol':
        return node.dialProtocol(addressOf(peer), protocols, options)
      case 'openBulkStream':
        return (await streamOpener.openBulkStream(addressOf(peer), protocols, options)).stream
      case 'newStreamOn':
        return connection == null ? undefined : streamOpener.newStreamOn(connection, protocols, options)
      case 'connection.newStream':
        return connection?.newStream(protocols, options)
      default:
        throw new Error('There is no such way')
    }
  }

  /**
   * Everything is handled
   */
  async #restore (): Promise<void> {
    await Promise.all(this.#nodes.flatMap(node => Object.keys(HANDLERS).map(async protocol => handle(node, protocol))))
  }

  async #checkNothingIsLeft (): Promise<void> {
    const left = (): unknown[] => this.#nodes.flatMap(node => [
      ...node.services.streamOpener.status().map(({ open, negotiating, queued }) => ({ open, negotiating, queued })).filter(({ open, negotiating, queued }) => open + negotiating + queued > 0),
      ...node.getConnections().flatMap(({ streams }) => streams).filter(({ protocol }) => protocol in HANDLERS).map(({ protocol, direction, status }) => ({ protocol, direction, status }))
    ])

    check(await becomes(() => left().length === 0, LIMIT), 'something is left', left())
  }

  async stop (): Promise<void> {
    await stopNodes(...this.#nodes)
  }
}

async function handle (node: Libp2p, protocol: string): Promise<void> {
  const handler = HANDLERS[protocol]

  if (handler == null) {
    throw new Error('There is no such handler')
  }

  await node.handle(protocol, handler, { force: true, maxInboundStreams: 1_000 })
}

export const nodes: Fuzzer<NodesCase> = {
  name: 'nodes',
  about: 'Two nodes open streams to each other in every way while connections are killed, handlers come and go, and nodes restart: all settles, and nothing is left',
  cases: record({ transport: fc.constantFrom(...TRANSPORTS), steps: fc.array(step, { minLength: 1, maxLength: 30, size: 'max' }) }),
  long: 150,
  start: async () => {
    const timers = timersLeft()
    const pairs = new Map<TransportName, Pair>()

    return {
      play: async ({ transport, steps }) => {
        const pair = pairs.get(transport) ?? await Pair.start(transport)

        pairs.set(transport, pair)
        await pair.play(steps)
      },
      stop: async () => {
        await Promise.all([...pairs.values()].map(async pair => pair.stop()))
        await timers.checkNoneAreLeft()
      }
    }
  }
}
