/**
 * Opens streams over QUIC with stock libp2p, closes and then aborts each, until no more
 * can be opened
 */
import { addressOf, createStockNode } from '../../support/nodes.ts'
import { bytes, readAll } from '../../support/streams.ts'

const PROTOCOL = '/collect/1.0.0'

const listener = await createStockNode('quic')
const dialer = await createStockNode(undefined)
const received = new Map<string, () => void>()

await listener.handle(PROTOCOL, async stream => {
  const request = await readAll(stream)
  received.get(new TextDecoder().decode(request))?.()
  stream.send(request)
  await stream.close()
})

const connection = await dialer.dial(addressOf(listener))

for (let i = 0; ; i++) {
  const stream = await Promise.race([
    connection.newStream(PROTOCOL, { signal: AbortSignal.timeout(60_000) }),
    new Promise<undefined>(resolve => { setTimeout(resolve, 5_000) })
  ])

  if (stream == null) {
    process.stdout.write(`no stream after ${i}, ${connection.streams.length} are open\n`)
    process.exit()
  }

  const request = `request ${i}`
  const done = new Promise<void>(resolve => { received.set(request, resolve) })

  stream.send(bytes(request))
  await stream.close()
  await done
  stream.abort(new Error('Not interested in the answer'))
}
