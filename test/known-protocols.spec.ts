import { identifyPush } from '@libp2p/identify'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { SpokenProtocols } from '../src/negotiation/spoken-protocols.ts'
import { followProtocols } from './support/follow-protocols.ts'
import { manyProtocols, pushProtocols } from './support/identify-push.ts'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, identified, stopNodes } from './support/nodes.ts'
import { ECHO, echo } from './support/streams.ts'
import type { KnownProtocols } from '../src/negotiation/known-protocols.ts'
import type { NodeInit, OpenerServices } from './support/nodes.ts'
import type { Connection, Libp2p } from '@libp2p/interface'

const NEW = '/echo/2.0.0'
const OTHER = '/other/1.0.0'

let dialer: Libp2p<OpenerServices>
let listener: Libp2p
let known: KnownProtocols

afterEach(async () => {
  await stopNodes(dialer, listener)
})

async function push (...messages: string[][]): Promise<void> {
  const [connection] = listener.getConnections(dialer.peerId)
  await Promise.all([identified(dialer, listener), pushProtocols(connection as Connection, ...messages)])
}

describe('the first choice', () => {
  async function connect (services: NodeInit['services'] = {}): Promise<Connection> {
    dialer = await createOpenerNode({}, { services: { identifyPush: identifyPush() } })
    listener = await createStockNode('tcp', { services })
    await listener.handle(ECHO, echo)
    known = followProtocols(dialer)

    return connectIdentified(dialer, listener)
  }

  /**
   * What stock's own negotiation of the protocols selects
   */
  async function selected (connection: Connection, protocols: string[]): Promise<string> {
    const stream = await connection.newStream(protocols)
    const { protocol } = stream
    stream.abort(new Error('Seen enough'))

    return protocol
  }

  it('is the first of the protocols if the peer is known to speak it, and a later one if identify has named all but those before', async () => {
    const connection = await connect()

    expect(known.firstChoice(connection, [ECHO, NEW])).toBe(ECHO)
    expect(known.firstChoice(connection, [NEW, ECHO])).toBe(ECHO)
    expect(await selected(connection, [NEW, ECHO])).toBe(ECHO)
    expect(known.firstChoice(connection, [NEW])).toBeUndefined()
  })

  it('is none where identify has not come: an echo says nothing about the others', async () => {
    dialer = await createOpenerNode()
    listener = await createStockNode('tcp')
    await listener.handle(ECHO, echo)
    await listener.handle(NEW, echo)
    dialer.services.identify.identify = async () => new Promise(() => {})
    known = followProtocols(dialer)
    const connection = await dialer.dial(addressOf(listener))

    expect(known.firstChoice(connection, [ECHO])).toBeUndefined()
    known.confirmed(connection, ECHO)
    expect(known.firstChoice(connection, [ECHO, NEW])).toBe(ECHO)
    expect(known.firstChoice(connection, [NEW, ECHO])).toBeUndefined()
    expect(await selected(connection, [NEW, ECHO])).toBe(NEW)
  })

  it('is none after an echo of what identify has not named: the peer speaks more than it says', async () => {
    const connection = await connect()

    await listener.handle(OTHER, echo)
    await listener.handle(NEW, echo)
    known.confirmed(connection, OTHER)
    expect(known.firstChoice(connection, [NEW, ECHO])).toBeUndefined()
    expect(await selected(connection, [NEW, ECHO])).toBe(NEW)
    expect(known.firstChoice(connection, [OTHER, ECHO])).toBe(OTHER)
  })

  it('is none while one before it was named and has failed since: the peer may have been overloaded', async () => {
    const connection = await connect()
    await push([NEW, ECHO])

    known.refused(connection, NEW, new Error('It was silent'))
    expect(known.firstChoice(connection, [NEW, ECHO])).toBeUndefined()
    expect(known.firstChoice(connection, [ECHO, NEW])).toBe(ECHO)
  })

  it('is what the last message says, if it says anything about protocols', async () => {
    const connection = await connect()

    await push([])
    expect(known.firstChoice(connection, [NEW, ECHO])).toBe(ECHO)
    await push([NEW, ECHO])
    expect(known.firstChoice(connection, [NEW, ECHO])).toBe(NEW)
    await push([])
    expect(known.firstChoice(connection, [NEW, ECHO])).toBe(NEW)
    await push([OTHER])
    expect(known.firstChoice(connection, [NEW, ECHO])).toBeUndefined()
    expect(known.firstChoice(connection, [NEW, ECHO, OTHER])).toBe(OTHER)
  })

  it('is none behind others when the message named more than is held', async () => {
    const connection = await connect()

    await push([ECHO], ...manyProtocols())
    expect(known.firstChoice(connection, [ECHO])).toBe(ECHO)
    expect(known.firstChoice(connection, [NEW, ECHO])).toBeUndefined()
    await push([ECHO, 'x'.repeat(1_024)])
    expect(known.firstChoice(connection, [NEW, ECHO])).toBeUndefined()
    await push([ECHO])
    expect(known.firstChoice(connection, [NEW, ECHO])).toBe(ECHO)
  })
})

describe('what a peer can make a node hold', () => {
  it.each([false, true])('is a thousand protocols for each connection, however many it claims, with resume: %s', async resume => {
    dialer = await createOpenerNode({ resume }, { services: { identifyPush: identifyPush() } })
    listener = await createStockNode('tcp')
    await connectIdentified(dialer, listener)
    await push([ECHO], ...manyProtocols())

    const { protocols } = dialer.services.streamOpener.status(listener.peerId)
    expect(protocols).toHaveLength(1_000)
    expect(protocols).toContain(ECHO)
    const held = protocols.join('\n').length

    // the peer store says nothing when metadata changes
    await vi.waitFor(async () => {
      const { metadata, protocols } = await dialer.peerStore.get(listener.peerId)
      expect(protocols.length).toBeGreaterThan(14_000)
      expect(metadata.get('StreamOpenerProtocols')?.byteLength).toBe(resume ? held : undefined)
    })
  })

  it('is no more than that for what it has confirmed and refused', () => {
    const spoken = new SpokenProtocols()

    for (let i = 0; i < 3_000; i++) {
      spoken.confirmed(`/${i}`)
      spoken.refused(`/refused/${i}`)
    }

    expect(spoken.all()).toHaveLength(1_000)
    expect(spoken.has('/2999')).toBe(true)
    expect(spoken.hasRefused('/refused/2999')).toBe(true)
    expect(spoken.hasRefused('/refused/0')).toBe(false)
  })
})
