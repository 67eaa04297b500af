/**
 * What QUIC streams are like without this package. When one of these goes red, upstream
 * has mended what is mended here.
 */
import { describe, expect, it } from 'vitest'
import { digestOfStream, KIB, MIB, Sending } from '../support/quic-sending.ts'
import { connectQuic, DIRECTIONS, muxerOf, watchNativeReads } from '../support/quic-streams.ts'
import { bytes, closed, readAll } from '../support/streams.ts'
import { until } from '../support/wait.ts'
import type { Stream } from '@libp2p/interface'

describe.each(DIRECTIONS)('a QUIC stream of stock that is %s', direction => {
  it('is read 4 KiB at a time, else src/compat/quic/native-reads.ts can go', async () => {
    const pair = await connectQuic(direction, 'stock')
    const reads = await watchNativeReads(pair)
    const { stream, remote } = await pair.open()
    const digest = digestOfStream(stream)
    const sending = new Sending(remote, 8 * MIB)
    await digest
    await sending.done

    expect(new Set(reads.map(({ asked }) => asked))).toEqual(new Set([4 * KIB]))
  })

  it('is read on while it is paused, and aborts itself, else src/compat/quic/held-by-pause.ts can go', async () => {
    const { stream, remote } = await (await connectQuic(direction, 'stock')).open()
    const end = closed(stream)
    stream.pause()
    const sending = new Sending(remote, 32 * MIB)

    expect((await end).error?.name).toBe('StreamBufferError')
    await expect(sending.done).rejects.toThrow()
  })

  it('takes a reset for the end', async () => {
    const { stream, remote } = await (await connectQuic(direction, 'stock')).open()
    const reading = readAll(stream)
    remote.send(bytes('half of it'))
    await until(() => remote.writeBufferLength === 0 && !remote.writableNeedsDrain)
    remote.abort(new Error('Reset'))

    // how much of it comes is a matter of chance
    expect(bytes('half of it').subarray(0, (await reading).byteLength)).toEqual(await reading)
    expect(stream.status).toBe('open')
  })

  it('may not hear that the connection was lost, else src/compat/quic/quic-streams.ts can go', async () => {
    const pair = await connectQuic(direction, 'stock')
    const opened: Stream[] = []

    for (let i = 0; i < 10; i++) {
      const { stream } = await pair.open()
      // nothing but the muxer tells them
      opened.push(stream)
    }

    const errors: unknown[] = []
    opened.forEach(stream => { stream.addEventListener('close', ({ error }) => { errors.push(error) }) })
    muxerOf(pair.connection).abort(new Error('Lost'))

    expect(errors.filter(error => error != null).length).toBeLessThan(10)
  })
})
