import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { connectIdentified, createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { bytes, closed, echo, exchange, replacedMethods } from './support/streams.ts'
import type { StreamOpenerInit } from '../src/index.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const ONE = '/one/1.0.0'
const OTHER = '/other/1.0.0'

let dialer: Libp2p<OpenerServices>
let listener: Libp2p

beforeEach(async () => {
  listener = await createStockNode('tcp')
  await listener.handle([ONE, OTHER], echo)
})

afterEach(async () => {
  await stopNodes(dialer, listener)
})

async function connect (init: StreamOpenerInit): Promise<Connection> {
  dialer = await createOpenerNode(init)

  return connectIdentified(dialer, listener)
}

/**
 * What of three writes is held when the stream is new
 */
function write (stream: Stream): number {
  for (let i = 0; i < 3; i++) {
    stream.send(bytes('hello'))
  }

  return stream.writeBufferLength
}

describe('an option that is a function', () => {
  it('decides for each protocol whether it is negotiated in full', async () => {
    const connection = await connect({ intercept: true, negotiation: protocol => protocol === ONE ? 'full' : undefined })

    expect(replacedMethods(await connection.newStream(ONE))).toEqual([])
    expect(replacedMethods(await connection.newStream(OTHER))).toContain('onData')
    // one of them is enough
    expect(replacedMethods(await connection.newStream([OTHER, ONE]))).toEqual([])
  })

  it('decides for each protocol when the FIN leaves', async () => {
    const connection = await connect({ halfClose: protocol => protocol === ONE ? 'immediate' : undefined })
    const { streamOpener } = dialer.services

    expect(replacedMethods(await streamOpener.newStreamOn(connection, ONE))).not.toContain('sendCloseWrite')
    expect(replacedMethods(await streamOpener.newStreamOn(connection, OTHER))).toContain('sendCloseWrite')
    expect(replacedMethods(await streamOpener.newStreamOn(connection, ONE, { halfClose: 'confirmed' }))).toContain('sendCloseWrite')
  })

  it('decides for each protocol which writes leave early', async () => {
    const connection = await connect({ intercept: true, earlyWrites: protocol => protocol === ONE ? 'all' : undefined })

    expect(write(await connection.newStream(ONE))).toBe(0)
    expect(write(await connection.newStream(OTHER))).toBe(10)
    expect(write(await dialer.services.streamOpener.newStreamOn(connection, OTHER))).toBe(0)
    expect(write(await dialer.services.streamOpener.newStreamOn(connection, OTHER, { earlyWrites: 'first' }))).toBe(10)

    const stream = await connection.newStream(OTHER)
    const end = closed(stream)
    expect(await exchange(stream, bytes('hello'))).toEqual(bytes('hello'))
    await end
  })

  it.each(['negotiation', 'halfClose', 'earlyWrites'])('rejects the call when it says something else for %s', async name => {
    const connection = await connect({ [name]: () => 'sometimes' })
    const opening = dialer.services.streamOpener.newStreamOn(connection, ONE)

    await expect(opening).rejects.toThrow(expect.objectContaining({ name: 'InvalidParametersError', message: expect.stringContaining(name) }))
    expect(dialer.services.streamOpener.status(listener.peerId)).toMatchObject({ open: 0, queued: 0, negotiating: 0 })
    expect(connection.streams.filter(({ direction }) => direction === 'outbound')).toEqual([])
  })
})
