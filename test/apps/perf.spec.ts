/**
 * `@libp2p/perf` is not on the registry, so this is what it does with a stream, from
 * packages/protocol-perf of js-libp2p: the number of bytes that are wanted, the bytes that
 * are sent, the end, and then as many bytes as were wanted
 */
import { expect, it } from 'vitest'
import { readAll, sendAll } from '../support/streams.ts'
import { connect, runEverywhere, TRANSPORTS } from './run.ts'
import type { Connection, Stream } from '@libp2p/interface'

const PERF = '/perf/1.0.0'
const BLOCK = 65_536

async function answer (stream: Stream): Promise<void> {
  let wanted: number | undefined

  for await (const chunk of stream) {
    const bytes = chunk.subarray()
    // the first message has it, whatever else it has
    wanted ??= Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0))
  }

  await sendAll(stream, new Uint8Array(wanted ?? 0), BLOCK)
  await stream.close()
}

async function measure (connection: Connection, sent: number, wanted: number): Promise<number> {
  const stream = await connection.newStream(PERF)
  const header = new Uint8Array(8)
  new DataView(header.buffer).setBigUint64(0, BigInt(wanted))
  stream.send(header)
  await sendAll(stream, new Uint8Array(sent), BLOCK)
  await stream.close()

  return (await readAll(stream)).byteLength
}

it.each(TRANSPORTS)('perf, as @libp2p/perf does it, gets what it has asked for over %s', async transport => {
  const received = await runEverywhere(`perf, ${transport}`, async run => {
    const listener = await run.node('other', {}, transport)
    await listener.handle(PERF, answer)
    const dialer = await run.node('dialer', {}, transport)
    const connection = await connect(dialer, listener)

    return run.time(async () => {
      const received = []

      for (const [sent, wanted] of [[0, 0], [1, 1], [0, 1_000_000], [1_000_000, 0], [1_000_000, 1_000_000]] as const) {
        received.push(await measure(connection, sent, wanted))
      }

      return received
    })
  })

  expect(received).toEqual([0, 1, 1_000_000, 0, 1_000_000])
})
