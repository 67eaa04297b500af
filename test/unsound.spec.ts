import { concat } from 'uint8arrays/concat'
import { afterEach, describe, expect, it } from 'vitest'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, SOCKET_TRANSPORTS, stopNodes } from './support/nodes.ts'
import { message } from './support/raw-listener.ts'
import { createRelay } from './support/relay.ts'
import { bytes, closed, readAll } from './support/streams.ts'
import { turns } from './support/wait.ts'
import type { StreamOpenerInit } from '../src/index.ts'
import type { OpenerServices, TransportName } from './support/nodes.ts'
import type { Relay } from './support/relay.ts'
import type { Libp2p } from '@libp2p/interface'

const TUNNEL = '/tunnel/1.0.0'
const ADMIN = '/admin/1.0.0'

/**
 * What somebody has sent through the tunnel: it proposes another protocol
 */
const PAYLOAD = concat([message(`${ADMIN}\n`), bytes('delete everything')])

let dialer: Libp2p<OpenerServices>
let listener: Libp2p
let relay: Relay

afterEach(async () => {
  await stopNodes(dialer, listener)
  await relay.close()
})

/**
 * What comes of data that looks like multistream-select, to a peer that has dropped the
 * protocol without saying so
 */
describe.each(SOCKET_TRANSPORTS)('a payload that proposes another protocol over %s', transport => {
  async function connect (transport: TransportName, init?: StreamOpenerInit): Promise<Uint8Array[]> {
    const commands: Uint8Array[] = []

    dialer = await createOpenerNode(init)
    listener = await createStockNode(transport)
    await listener.handle(TUNNEL, async stream => { await readAll(stream) })
    await listener.handle(ADMIN, stream => {
      stream.addEventListener('message', evt => { commands.push(evt.data.subarray()) })
    })
    relay = await createRelay(addressOf(listener))
    await connectIdentified(dialer, listener, relay.addr)
    await listener.unhandle(TUNNEL)

    return commands
  }

  async function send (data = PAYLOAD): Promise<string | undefined> {
    const stream = await dialer.services.streamOpener.newStream(listener.peerId, TUNNEL)
    const end = closed(stream)
    stream.send(data)

    return (await end).error?.name
  }

  it('reaches the handler of that protocol, which is inherent', async () => {
    const commands = await connect(transport)

    // the handler is called before the dialer gets to know
    relay.hold()
    const end = send()

    while (commands.length === 0) {
      await turns(100)
    }

    relay.release()
    expect(await end).toBeOneOf(['UnsupportedProtocolError', 'StreamClosedError'])
    expect(commands).toEqual([bytes('delete everything')])
  })

  it('does not where the protocol is negotiated in full', async () => {
    const commands = await connect(transport, { negotiation: protocol => protocol === TUNNEL ? 'full' : undefined })

    await expect(send()).rejects.toThrow(expect.objectContaining({ name: 'UnsupportedProtocolError' }))
    await turns(100)
    expect(commands).toEqual([])
  })

  it('does not where it begins with a 0', async () => {
    const commands = await connect(transport)

    expect(await send(concat([Uint8Array.of(0), PAYLOAD]))).toBeOneOf(['UnsupportedProtocolError', 'StreamClosedError', 'StreamResetError'])
    await turns(100)
    expect(commands).toEqual([])
  })
})
