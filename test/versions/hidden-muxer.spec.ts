import { afterEach, describe, expect, it } from 'vitest'
import { bytes, ECHO, echo, exchange, replacedMethods } from '../support/streams.ts'
import { addressOf, createOpenerNode, createStockNode, identified, STACKS } from './nodes.ts'
import type { OpenerNode } from './nodes.ts'
import type { Connection, Libp2p } from '@libp2p/interface'
import type { StreamOpenerInit } from 'libp2p-stream-opener'

let dialer: OpenerNode
let listener: Libp2p

afterEach(async () => {
  await Promise.all([dialer.stop(), listener.stop()])
})

describe.each(Object.entries(STACKS))('over %s', (_, stack) => {
  async function connect (init?: StreamOpenerInit, createListener: typeof createStockNode = createStockNode): Promise<Connection> {
    dialer = await createOpenerNode(stack, init)
    listener = await createListener(stack)
    await listener.handle(ECHO, echo)

    const [connection] = await Promise.all([dialer.dial(addressOf(listener)), identified(dialer), identified(listener)])

    return connection
  }

  it('has libp2p negotiate every stream', async () => {
    const connection = await connect()
    const opened: string[] = []
    const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO, {
      onProgress: evt => { opened.push(evt.type) }
    })

    expect(opened.filter(type => type.startsWith('stream-opener:'))).toEqual(['stream-opener:full'])
    expect(replacedMethods(stream)).toEqual([])
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
  })

  it.each([false, true])('gets 200 streams that were asked for at once, with intercept: %s', async intercept => {
    const connection = await connect({ intercept })
    const { streamOpener } = dialer.services

    await Promise.all(Array.from({ length: 200 }, async (_, i) => {
      const stream = await (intercept ? connection.newStream(ECHO) : streamOpener.newStreamOn(connection, ECHO))

      expect(await exchange(stream, bytes(`request ${i}`))).toEqual(bytes(`request ${i}`))
    }))

    expect(streamOpener.status(connection.remotePeer)).toMatchObject({ open: 0, negotiating: 0, queued: 0 })
  })

  it('is told that the listener does not speak a protocol', async () => {
    const connection = await connect({ negotiation: 'always' })

    await expect(dialer.services.streamOpener.newStreamOn(connection, '/unknown/1.0.0')).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
  })

  it('does not say that it guards its handlers', async () => {
    const connection = await connect({}, createOpenerNode)

    expect(connection.status).toBe('open')
    expect(listener.getProtocols()).toContain(ECHO)
    expect(listener.getProtocols().filter(protocol => protocol.includes('listener-guard'))).toEqual([])
  })
})
