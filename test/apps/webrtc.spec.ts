import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { echo } from '@libp2p/echo'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { webRTC } from '@libp2p/webrtc'
import { expect, it, vi } from 'vitest'
import { pattern, readAll } from '../support/streams.ts'
import { runEverywhere } from './run.ts'
import type { Connection } from '@libp2p/interface'

/**
 * One in ten dials of @libp2p/webrtc 6 does not come to an end here, with stock too
 */
async function dial (fn: (signal: AbortSignal) => Promise<Connection>): Promise<Connection> {
  return fn(AbortSignal.timeout(5_000)).catch(async () => fn(AbortSignal.timeout(5_000)))
}

it('WebRTC between two nodes that find each other over a relay', async () => {
  const data = pattern(10_000)

  // the links are only on the way to the relay. The ports that WebRTC then uses are chosen
  // by ICE, nothing can be put in front of them, so what is timed is as long without.
  const answers = await runEverywhere('WebRTC, past the links', async run => {
    const relay = await run.node('other', { relay: circuitRelayServer() })
    const services = { echo: echo(), ping: ping() }
    const transports = { transports: [tcp(), circuitRelayTransport(), webRTC()] }

    const listener = await run.node('other', services, 'tcp', {
      ...transports,
      addresses: { listen: [`${relay.getMultiaddrs()[0]}/p2p-circuit`, '/webrtc'] }
    })
    const dialer = await run.node('dialer', services, 'tcp', transports)
    const addressOf = (): any => listener.getMultiaddrs().find(addr => addr.toString().includes('/webrtc/'))

    await vi.waitFor(() => { expect(addressOf()).toBeDefined() }, { timeout: 10_000, interval: 20 })

    const connection = await dial(async signal => dialer.dial(addressOf(), { signal }))

    return run.time(async () => {
      const answers = await Promise.all(Array.from({ length: 30 }, async () => {
        const answer = await dialer.services.echo.echo(connection.remotePeer, data)

        return Buffer.compare(answer.subarray(), data)
      }))
      await dialer.services.ping.ping(connection.remotePeer)

      // a channel opens later than its stream is there
      const inPieces = await Promise.all(Array.from({ length: 10 }, async () => {
        const stream = await dialer.dialProtocol(connection.remotePeer, dialer.services.echo.protocol)
        const answer = readAll(stream)

        for (const piece of [data.subarray(0, 10), data.subarray(10, 5_000), data.subarray(5_000)]) {
          stream.send(piece)
        }

        await stream.close()

        return Buffer.compare(await answer, data)
      }))

      return { answers, inPieces, isDirect: connection.direct, status: connection.status }
    })
  })

  expect(answers).toEqual({ answers: Array.from({ length: 30 }, () => 0), inPieces: Array.from({ length: 10 }, () => 0), isDirect: true, status: 'open' })
})
