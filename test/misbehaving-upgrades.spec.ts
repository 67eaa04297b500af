import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { encodeHandshake } from '../src/negotiation/multistream-select.ts'
import { addressOf, createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { echoOf, message } from './support/raw-listener.ts'
import { firstMessage, splitAt, takeUpgrades } from './support/raw-upgrades.ts'
import { sampled } from './support/rounds.ts'
import { bytes, ECHO, echo, exchange } from './support/streams.ts'
import { DIAL_TRANSPORTS, dialAndLook, encrypted, ENCRYPTER_NAMES, ENCRYPTER_PROTOCOLS, meet, untilRemembered } from './support/upgrades.ts'
import { turns } from './support/wait.ts'
import type { OpenerServices } from './support/nodes.ts'
import type { RawUpgrade, RawUpgrades } from './support/raw-upgrades.ts'
import type { DialTransport, EncrypterName } from './support/upgrades.ts'
import type { Connection, Libp2p, MultiaddrConnection, Upgrader } from '@libp2p/interface'

const HEADER = message('/multistream/1.0.0\n')

/**
 * What a listener can send instead of the echo, and what the dialer makes of it
 */
const ANSWERS: Array<{ does: string, answer: Uint8Array, error: string }> = [
  { does: 'na', answer: Buffer.concat([HEADER, message('na\n')]), error: 'UnsupportedProtocolError' },
  { does: 'na without a header', answer: message('na\n'), error: 'UnsupportedProtocolError' },
  { does: 'another protocol', answer: echoOf('/other/1.0.0'), error: 'ProtocolError' },
  { does: 'another version of multistream-select', answer: message('/multistream/2.0.0\n'), error: 'ProtocolError' },
  { does: 'garbage', answer: Uint8Array.from({ length: 60 }, (_, i) => 0xff - i % 7), error: 'InvalidMessageError' },
  { does: 'a message of 2 GiB', answer: Uint8Array.from([0xff, 0xff, 0xff, 0xff, 0x07, 1, 2, 3]), error: 'InvalidMessageError' },
  { does: 'an empty message', answer: Uint8Array.from([0, 0]), error: 'InvalidMessageError' },
  { does: 'a message without a newline', answer: message('/multistream/1.0.0'), error: 'InvalidMessageError' }
]

/**
 * In two parts that are not in the same segment
 */
async function sendSplit (maConn: MultiaddrConnection, data: Uint8Array, length: number): Promise<void> {
  maConn.send(data.subarray(0, length))
  await turns(2)

  if (maConn.status === 'open') {
    maConn.send(data.subarray(length))
  }
}

/**
 * A dialer that has met a listener, which then does something else with the first
 * connection than to answer it
 */
class Misled {
  readonly dialer: Libp2p<OpenerServices>
  readonly listener: Libp2p
  readonly raw: RawUpgrades
  readonly #registry: Registry
  readonly #protocol: string

  private constructor (dialer: Libp2p<OpenerServices>, listener: Libp2p, registry: Registry, protocol: string) {
    this.dialer = dialer
    this.listener = listener
    this.raw = takeUpgrades(listener)
    this.#registry = registry
    this.#protocol = protocol
  }

  static async meet (transport: DialTransport, name: EncrypterName, negotiationTimeout = 1_000): Promise<Misled> {
    const registry = new Registry()
    const listener = await createStockNode(transport, encrypted(name))
    await listener.handle(ECHO, echo)
    const dialer = await createOpenerNode({ resume: true, negotiationTimeout }, {
      ...encrypted(name),
      metrics: prometheusMetrics({ registry, collectDefaultMetrics: false })
    })
    const misled = new Misled(dialer, listener, registry, ENCRYPTER_PROTOCOLS[name])
    await meet(dialer, listener, misled.#protocol)

    return misled
  }

  async stop (): Promise<void> {
    await stopNodes(this.dialer, this.listener)
  }

  async answers (connection: Connection): Promise<void> {
    const stream = await this.dialer.services.streamOpener.newStreamOn(connection, ECHO)

    expect(new Uint8Array(await exchange(stream, bytes('hello')))).toEqual(bytes('hello'))
  }

  /**
   * The reasons that have been counted
   */
  async #failures (): Promise<unknown[]> {
    const metric = await this.#registry.getSingleMetric('libp2p_stream_opener_handshake_failures_total')?.get()

    return (metric?.values ?? []).map(({ labels }) => labels.reason)
  }

  /**
   * Dials once while the listener does that, so that the dialer tries again, and then once
   * more
   */
  async dial (play: RawUpgrade, errors: string[]): Promise<void> {
    const { dialer, listener, raw } = this
    const inbound: MultiaddrConnection[] = []
    this.#registry.resetMetrics()
    raw.next.push(async (maConn, upgrade) => {
      inbound.push(maConn)

      return play(maConn, upgrade)
    })

    const { connection, optimistic } = await dialAndLook(dialer, listener, raw)

    expect(optimistic).toEqual([true, false])
    await this.answers(connection)
    expect(await this.#failures()).toEqual([expect.toBeOneOf(errors)])
    await vi.waitFor(() => { expect(inbound[0]?.status).not.toBe('open') })

    // libp2p has selected it, so it is trusted again
    await untilRemembered(dialer, listener.peerId, this.#protocol)
    await dialer.hangUp(listener.peerId)
    const again = await dialAndLook(dialer, listener, raw)

    expect(again.optimistic).toEqual([true])
    await dialer.hangUp(listener.peerId)
  }
}

/**
 * A tenth of so many places where an answer can be cut
 */
function placesIn (length: number, offset: number): number[] {
  return sampled(Array.from({ length }, (_, i) => i + 1), offset, 10)
}

describe.each(DIAL_TRANSPORTS.flatMap((transport, i) => ENCRYPTER_NAMES.map((name, j) => ({ transport, name, offset: i * 2 + j }))))('a listener over $transport with $name', ({ transport, name, offset }) => {
  const echoed = encodeHandshake(ENCRYPTER_PROTOCOLS[name])
  let misled: Misled

  beforeAll(async () => { misled = await Misled.meet(transport, name) })
  afterAll(async () => misled.stop())

  it.each(ANSWERS)('that answers with $does is dialled once more', async ({ answer, error }) => {
    for (const length of [0, ...placesIn(answer.byteLength - 1, offset)]) {
      await misled.dial(async maConn => {
        await firstMessage(maConn)
        await sendSplit(maConn, answer, length)
      }, [error])
    }
  })

  it('that ends the connection within the echo is dialled once more', async () => {
    for (const length of [0, ...placesIn(echoed.byteLength - 1, offset)]) {
      await misled.dial(async maConn => {
        await firstMessage(maConn)

        if (length > 0) {
          maConn.send(echoed.subarray(0, length))
        }

        await maConn.close()
      }, ['ConnectionClosedError'])
    }
  })

  it('that resets the connection within the echo is dialled once more', async () => {
    for (const length of [0, ...placesIn(echoed.byteLength - 1, offset)]) {
      await misled.dial(async maConn => {
        await firstMessage(maConn)

        if (length > 0) {
          maConn.send(echoed.subarray(0, length))
        }

        const { websocket } = maConn as { websocket?: { terminate(): void } }
        websocket?.terminate()
        maConn.abort(new Error('Enough'))
        // the error of the socket, of a WebSocket, and what is read before the reset
      }, ['Error', 'StreamResetError', 'ConnectionClosedError'])
    }
  })

  // each waits for a second or more, so they wait together
  it.concurrent.each([
    { length: 0, timeout: 1_000 },
    { length: 1, timeout: 1_000 },
    { length: 20, timeout: 1_000 },
    { length: 27, timeout: 1_000 },
    // longer than libp2p dials an address
    { length: 0, timeout: 10_000 }
  ])('that is silent after $length bytes is dialled once more, in time where a negotiation may take $timeout ms', async ({ length, timeout }) => {
    const misled = await Misled.meet(transport, name, timeout)

    try {
      await misled.dial(async maConn => {
        await firstMessage(maConn)

        if (length > 0) {
          maConn.send(echoed.subarray(0, length))
        }
      }, ['TimeoutError'])
    } finally {
      await misled.stop()
    }
  })

  it.each([
    { when: 'while libp2p selects', asked: async () => {} },
    { when: 'before libp2p selects', asked: async (maConn: MultiaddrConnection) => expect.poll(() => maConn.readBufferLength).toBeGreaterThan(0) }
  ])('that speaks first, $when, is left to libp2p', async ({ asked }) => {
    const { dialer, listener, raw } = misled
    const { upgrader } = (dialer as unknown as { components: { upgrader: Upgrader } }).components
    const upgradeOutbound = vi.spyOn(upgrader, 'upgradeOutbound').mockImplementationOnce(async (maConn: MultiaddrConnection, options: any) => {
      await asked(maConn)
      upgradeOutbound.mockRestore()

      return upgrader.upgradeOutbound(maConn, options)
    })
    raw.next.push(async (maConn, upgrade) => {
      maConn.send(HEADER)
      const send = maConn.send.bind(maConn)

      // it does not say so again
      maConn.send = data => {
        maConn.send = send
        const rest = data.subarray(HEADER.byteLength)

        return rest.byteLength === 0 ? true : send(rest)
      }

      await upgrade()
    })

    await misled.answers(await dialer.dial(addressOf(listener)))
    await dialer.hangUp(listener.peerId)
  })

  it('is understood however its echo is cut up, with what is behind it', async () => {
    const { dialer, listener, raw } = misled

    for (const length of placesIn(echoed.byteLength + 12, offset)) {
      raw.next.push(async (maConn, upgrade) => {
        splitAt(maConn, length)
        await upgrade()
      })

      const { connection, optimistic } = await dialAndLook(dialer, listener, raw)

      expect(optimistic).toEqual([true])
      await misled.answers(connection)
      await dialer.hangUp(listener.peerId)
    }
  })

  it('that is really gone gives the error of stock, after one more dial', async () => {
    const { dialer, listener, raw } = misled
    const stock = await createStockNode(undefined, encrypted(name))
    onTestFinished(async () => stopNodes(stock))
    const drop: RawUpgrade = async maConn => maConn.close()
    const dials = raw.count

    raw.next.push(drop, drop, drop)
    const ours = await dialer.dial(addressOf(listener)).catch(err => err)
    const theirs = await stock.dial(addressOf(listener)).catch(err => err)

    expect([ours.name, theirs.name]).toEqual([theirs.name, theirs.name])
    expect(raw.next).toHaveLength(0)
    expect(raw.count - dials).toBe(3)
  })
})
