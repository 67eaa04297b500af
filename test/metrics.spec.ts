import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { addressOf, connectIdentified, createOpenerNode, createStockNode, stopNodes, TRANSPORTS } from './support/nodes.ts'
import { handleRaw, message } from './support/raw-listener.ts'
import { bytes, closed, ECHO, echo, exchange, readAll } from './support/streams.ts'
import type { StreamOpenerInit } from '../src/index.ts'
import type { OpenerServices, TransportName } from './support/nodes.ts'
import type { ComponentLogger, Libp2p, Logger } from '@libp2p/interface'

let dialer: Libp2p<OpenerServices>
let listener: Libp2p
let registry: Registry

beforeEach(() => { registry = new Registry() })

afterEach(async () => {
  await stopNodes(dialer, listener)
})

async function connect (transport: TransportName, init: StreamOpenerInit = {}): Promise<void> {
  dialer = await createOpenerNode(init, { metrics: prometheusMetrics({ registry, collectDefaultMetrics: false }) })
  listener = await createStockNode(transport)
  await listener.handle(ECHO, echo)
  await handleRaw(listener, '/refused/1.0.0', stream => { stream.send(Uint8Array.from([...message('/multistream/1.0.0\n'), ...message('na\n')])) })
  await connectIdentified(dialer, listener)
}

/**
 * The values of a metric by their only label, or by the name that they have
 */
async function read (name: string): Promise<Record<string, number>> {
  const metric = await registry.getSingleMetric(name)?.get()

  return Object.fromEntries((metric?.values ?? []).map(value => {
    const { metricName, labels } = value as { metricName?: string, labels: Record<string, string> }

    return [Object.values(labels)[0] ?? metricName ?? name, value.value]
  }))
}

describe.each(TRANSPORTS)('over %s', transport => {
  it('opens are counted by path and transport, failed handshakes by reason', async () => {
    await connect(transport)
    const { streamOpener } = dialer.services

    for (let i = 0; i < 3; i++) {
      await exchange(await streamOpener.newStream(listener.peerId, ECHO), bytes('hello'))
    }

    await exchange(await streamOpener.newStream(listener.peerId, ECHO, { negotiateFully: true }), bytes('hello'))
    await closed(await streamOpener.newStream(listener.peerId, '/refused/1.0.0'))
    await expect(streamOpener.newStream(listener.peerId, '/missing/1.0.0')).rejects.toThrow()
    await dialer.hangUp(listener.peerId)
    const early = await streamOpener.newStream(addressOf(listener), ECHO)
    await exchange(early, bytes('hello'))
    const [connection] = dialer.getConnections()
    await exchange(await streamOpener.newStreamOn(connection as any, ['/missing/1.0.0', ECHO]), bytes('hello'))

    const optimistic = await read('libp2p_stream_opener_optimistic_opens_total')

    // how the last one was opened depends on when identify came
    expect(optimistic).toEqual({ [transport]: expect.toBeOneOf([4, 5]) })
    expect(await read('libp2p_stream_opener_full_opens_total')).toEqual({ [transport]: 6 - (optimistic[transport] ?? 0) })
    expect(await read('libp2p_stream_opener_early_opens_total')).toEqual({ [transport]: 1 })
    expect(await read('libp2p_stream_opener_handshake_failures_total')).toMatchObject({ UnsupportedProtocolError: 2 })
  })
})

describe('the metrics', () => {
  it('know how many calls are waiting, and for how long they have waited', async () => {
    await connect('tcp', { maxStreamsPerProtocol: 1 })
    const { streamOpener } = dialer.services
    const first = await streamOpener.newStream(listener.peerId, ECHO)
    const waiting = [streamOpener.newStream(listener.peerId, ECHO), streamOpener.newStream(listener.peerId, ECHO)]

    expect(await read('libp2p_stream_opener_queue_length')).toStrictEqual({ libp2p_stream_opener_queue_length: 2 })
    await exchange(first, bytes('hello'))

    for (const stream of waiting) {
      await exchange(await stream, bytes('hello'))
    }

    expect(await read('libp2p_stream_opener_queue_length')).toStrictEqual({ libp2p_stream_opener_queue_length: 0 })
    const wait = await read('libp2p_stream_opener_queue_wait_seconds')
    expect(wait.libp2p_stream_opener_queue_wait_seconds_count).toBe(2)
    expect(wait.libp2p_stream_opener_queue_wait_seconds_sum).toBeGreaterThan(0)
  })
})

/**
 * Notes what is logged, and what of it as an error
 */
function createLog (): { lines: string[], errors: string[], logger: ComponentLogger } {
  const lines: string[] = []
  const errors: string[] = []
  const forComponent = (namespace: string): Logger => {
    const write = (to: string[]) => (...args: any[]): void => { to.push(`${namespace} ${args.join(' ')}`) }

    return Object.assign(write(lines), {
      enabled: true,
      error: write(errors),
      trace: write(lines),
      newScope: (scope: string) => forComponent(`${namespace}:${scope}`)
    })
  }

  return { lines, errors, logger: { forComponent } }
}

describe('the log', () => {
  it('is written in the namespace libp2p:stream-opener', async () => {
    const { lines, logger } = createLog()
    dialer = await createOpenerNode({}, { logger })
    listener = await createStockNode('tcp')
    await listener.handle(ECHO, echo)
    await connectIdentified(dialer, listener)
    await exchange(await dialer.services.streamOpener.newStream(listener.peerId, ECHO), bytes('hello'))

    expect(lines).toContain(`libp2p:stream-opener opening a stream of %s to %p: %s ${ECHO} ${listener.peerId.toString()} optimistic`)
  })

  it('has no errors of probes, with which nothing is wrong', async () => {
    const { lines, errors, logger } = createLog()
    dialer = await createOpenerNode({}, { logger })
    listener = await createStockNode('quic')
    await listener.handle('/end/1.0.0', async stream => {
      stream.send(await readAll(stream))
      await stream.close()
    })
    await connectIdentified(dialer, listener)
    expect(await exchange(await dialer.services.streamOpener.newStream(listener.peerId, '/end/1.0.0'), bytes('hello'))).toEqual(bytes('hello'))

    await vi.waitFor(() => { expect(lines.join('\n')).toContain('The listener was only to show that it answers') })
    expect(errors.join('\n')).not.toContain('The listener was only to show that it answers')
  })
})
