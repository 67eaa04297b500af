import { afterEach, describe, expect, it } from 'vitest'
import { connectIdentified, createOpenerNode, createStockNode, addressOf, stopNodes } from './fixtures/nodes.ts'
import { createRelay } from './fixtures/relay.ts'
import { bytes, readAll, replacedMethods } from './fixtures/streams.ts'
import type { OpenerServices } from './fixtures/nodes.ts'
import type { Relay } from './fixtures/relay.ts'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'

const UPLOAD = '/upload/1.0.0'

let dialer: Libp2p<OpenerServices>
let listener: Libp2p
let relay: Relay

afterEach(async () => {
  await stopNodes(dialer, listener)
  await relay.close()
})

async function until (condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise<void>(resolve => { setImmediate(resolve) })
  }
}

describe('the FIN of a stream that is closed over QUIC, to a stock listener that does not answer before the end', () => {
  let ended: number

  async function connect (): Promise<Connection> {
    ended = 0
    dialer = await createOpenerNode()
    listener = await createStockNode('quic')
    await listener.handle(UPLOAD, async stream => {
      await readAll(stream)
      ended++
      await stream.close()
    })
    relay = await createRelay(addressOf(listener), { delay: 20 })

    return connectIdentified(dialer, listener, relay.addr)
  }

  async function upload (connection: Connection): Promise<Stream> {
    const stream = await dialer.services.streamOpener.newStreamOn(connection, UPLOAD)
    stream.send(bytes('hello'))
    await stream.close()
    expect(replacedMethods(stream)).to.include('sendCloseWrite')

    return stream
  }

  function probes (connection: Connection): Stream[] {
    return connection.streams.filter(({ direction, protocol }) => direction === 'outbound' && protocol === '')
  }

  it('goes out when the listener has answered a probe, however long that takes', async () => {
    const connection = await connect()
    const streams = await Promise.all(Array.from({ length: 10 }, async () => upload(connection)))

    await until(() => probes(connection).length > 0)
    relay.hold()
    expect(probes(connection)).to.have.length(1)
    expect(streams.filter(stream => replacedMethods(stream).includes('sendCloseWrite'))).to.have.length(10)
    expect(ended).to.equal(0)

    relay.release()
    await until(() => ended === 10)
    await until(() => connection.streams.every(({ direction }) => direction === 'inbound'))
    expect(streams.flatMap(replacedMethods)).to.deep.equal([])
  })

  it('goes out when the listener does not answer the probe', async () => {
    const connection = await connect()
    const stream = await upload(connection)

    await until(() => probes(connection).length > 0)
    relay.hold()
    probes(connection)[0]?.abort(new Error('Not any more'))
    await until(() => ended === 1)
    relay.release()
    await until(() => replacedMethods(stream).length === 0)
  })
})
