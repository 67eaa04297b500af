/**
 * Reads from streams of stock libp2p over QUIC: large data, while paused, one that is
 * reset, and those of a connection that is lost
 */
import { pEvent } from 'p-event'
import { addressOf, createStockNode } from '../../support/nodes.ts'
import type { Connection, Stream } from '@libp2p/interface'

const PROTOCOL = '/reads/1.0.0'
const MIB = 1024 * 1024

const listener = await createStockNode('quic')
const dialer = await createStockNode(undefined)
const waiting: Array<(stream: Stream) => void> = []

await listener.handle(PROTOCOL, stream => { waiting.shift()?.(stream) })

const connection = await dialer.dial(addressOf(listener))

async function open (): Promise<{ outbound: Stream, inbound: Stream }> {
  const accepted = new Promise<Stream>(resolve => { waiting.push(resolve) })
  const outbound = await connection.newStream(PROTOCOL)

  return { outbound, inbound: await accepted }
}

async function send (stream: Stream, length: number): Promise<void> {
  for (let sent = 0; sent < length; sent += 65_536) {
    if (!stream.send(new Uint8Array(65_536))) {
      await pEvent(stream as any, 'drain', { rejectionEvents: ['close'] })
    }
  }
}

/**
 * How a reader sees the stream come to its end
 */
async function read (stream: Stream): Promise<string> {
  let bytes = 0

  try {
    for await (const chunk of stream) {
      bytes += chunk.byteLength
    }
  } catch (err: any) {
    return `${err.name}: ${err.message}`
  }

  return `a clean end after ${bytes} bytes`
}

function print (line: string): void {
  process.stdout.write(`${line}\n`)
}

{
  const { outbound, inbound } = await open()
  const sizes: number[] = []

  inbound.addEventListener('message', ({ data }) => { sizes.push(data.byteLength) })
  await send(outbound, 32 * MIB)
  await outbound.close()
  await pEvent(inbound as any, 'remoteCloseWrite')
  print(`size of a read: ${Math.max(...sizes.slice(1))} bytes at most, ${sizes.length} reads for 32 MiB`)
}

{
  const { outbound, inbound } = await open()
  inbound.pause()
  const closed = pEvent<'close', { error?: Error }>(inbound as any, 'close')
  void send(outbound, 32 * MIB).catch(() => {})
  const { error } = await closed
  print(`paused: ${error?.name}: ${error?.message}`)
}

{
  const { outbound, inbound } = await open()
  const reading = read(inbound)
  await send(outbound, MIB)
  outbound.abort(new Error('Half of the file could not be read'))
  print(`reset by the peer: ${await reading}`)
}

{
  const opened: Stream[] = []

  for (let i = 0; i < 10; i++) {
    opened.push((await open()).inbound)
  }

  const readers = opened.map(read)
  const [inbound] = listener.getConnections() as [Connection]
  // what the muxer does when the connection is lost
  const { muxer } = inbound as unknown as { muxer: { abort(err: Error): void } }
  muxer.abort(new Error('connection closed'))
  print(`aborted with their connection: ${opened.filter(({ status }) => status === 'aborted').length} of ${opened.length} streams`)
  connection.abort(new Error('Gone'))
  const ends = await Promise.all(readers)
  print(`the connection lost: ${ends.filter(end => end.startsWith('a clean end')).length} of ${ends.length} readers see a clean end`)
}

process.exit()
