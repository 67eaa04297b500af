import { mplex } from '@libp2p/mplex'
import { yamux } from '@libp2p/yamux'
import { afterEach, describe, expect, it } from 'vitest'
import { addressOf, createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { randomFrom } from './support/random.ts'
import { takeUpgrades } from './support/raw-upgrades.ts'
import { rounds } from './support/rounds.ts'
import { bytes, ECHO, echo, exchange } from './support/streams.ts'
import { DIAL_TRANSPORTS, dialAndLook, encrypted, encryptedLate, meet } from './support/upgrades.ts'
import type { NodeInit, OpenerServices } from './support/nodes.ts'
import type { Libp2p } from '@libp2p/interface'

const RECONNECTS = rounds(10_000, 50)
const ABORTS = rounds(2_000)

/**
 * How many reconnects there are before the peer restarts, on average
 */
const RESTART_EVERY = 8

/**
 * What a peer may be configured with, each of which a stock node with both encrypters and
 * both muxers can dial
 */
const ENCRYPTIONS: NodeInit[] = [encrypted('noise'), encrypted('tls'), encrypted('noise', 'tls'), encrypted('tls', 'noise'), encryptedLate()]

const lasting = mplex({ disconnectThreshold: Infinity })

/**
 * In the order of the dialer: with noise both ends of stock take the first of the other
 * end's, and do not understand each other where that is not the same one
 */
const MUXERS: Array<NodeInit['streamMuxers']> = [[yamux()], [lasting], [yamux(), lasting]]

let nodes: Libp2p[] = []

afterEach(async () => {
  await stopNodes(...nodes)
  nodes = []
})

async function createDialer (init: NodeInit): Promise<Libp2p<OpenerServices>> {
  const dialer = await createOpenerNode({ resume: true }, init)
  nodes.unshift(dialer)

  return dialer
}

describe.each(DIAL_TRANSPORTS)('with resume over %s', transport => {
  it(`${RECONNECTS / 2} reconnects to a peer that restarts with other encrypters and muxers never fail`, async () => {
    const random = randomFrom(transport === 'tcp' ? 17 : 18)
    const pick = <T> (values: T[]): T => values[Math.floor(random() * values.length)] as T
    const dialer = await createDialer({ ...encrypted('noise', 'tls'), streamMuxers: [yamux(), mplex({ disconnectThreshold: Infinity })] })
    let listener: Libp2p | undefined
    let restarts = 0
    let config = ''

    async function restart (): Promise<Libp2p> {
      const { privateKey } = (listener as { components?: { privateKey?: NodeInit['privateKey'] } } | undefined)?.components ?? {}
      const [encryption, muxers] = [pick(ENCRYPTIONS), pick(MUXERS)]

      await listener?.stop()
      config = `encrypters ${ENCRYPTIONS.indexOf(encryption)}, muxers ${MUXERS.indexOf(muxers)}`
      listener = await createStockNode(transport, { ...encryption, streamMuxers: muxers, privateKey })
      await listener.handle(ECHO, echo)
      nodes = [dialer, listener]
      restarts++

      return listener
    }

    let peer = await restart()

    for (let i = 0; i < RECONNECTS / 2; i++) {
      if (random() < 1 / RESTART_EVERY) {
        peer = await restart()
      }

      try {
        const connection = await dialer.dial(addressOf(peer))
        const stream = await dialer.services.streamOpener.newStreamOn(connection, ECHO)

        expect(new Uint8Array(await exchange(stream, bytes('hello')))).toEqual(bytes('hello'))
        expect(dialer.getConnections(peer.peerId)).toEqual([connection])
      } catch (err: any) {
        throw new Error(`Reconnect ${i}, ${config}: ${err.name}: ${err.message}`, { cause: err })
      }

      await dialer.hangUp(peer.peerId)
    }

    expect(restarts).toBeGreaterThan(RECONNECTS / 2 / RESTART_EVERY / 2)
    // all of them take minutes
  }, RECONNECTS * 300)

  it(`${ABORTS} dials that are aborted at any moment end, and what is known of the peer stays`, async () => {
    const random = randomFrom(19)
    const listener = await createStockNode(transport)
    nodes.push(listener)
    await listener.handle(ECHO, echo)
    const raw = takeUpgrades(listener)
    const dialer = await createDialer({})
    await meet(dialer, listener)

    const ends = { connected: 0, aborted: 0 }
    let longest = 0

    for (let i = 0; i < ABORTS; i++) {
      const controller = new AbortController()
      const start = performance.now()
      const dialing = dialer.dial(addressOf(listener), { signal: controller.signal })
      // how long a dial takes depends on what else the machine does
      const timer = i % 4 === 0 ? undefined : setTimeout(() => { controller.abort() }, random() * longest)

      try {
        await dialing
        clearTimeout(timer)
        longest = performance.now() - start
        ends.connected++
      } catch (err: any) {
        expect(err.name).toBe('AbortError')
        ends.aborted++
      }

      await dialer.hangUp(listener.peerId)
    }

    expect(ends.connected).toBeGreaterThan(ABORTS / 5)
    expect(ends.aborted).toBeGreaterThan(ABORTS / 50)
    expect(dialer.getConnections()).toEqual([])

    // one that was given up may come in as late as this
    expect(new Set((await dialAndLook(dialer, listener, raw)).optimistic)).toEqual(new Set([true]))
    await dialer.hangUp(listener.peerId)
    await expect.poll(() => listener.getConnections(), { timeout: 20_000 }).toEqual([])
  })
})
