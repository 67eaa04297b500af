import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { echo } from '@libp2p/echo'
import { tcp } from '@libp2p/tcp'
import { expect, it, vi } from 'vitest'
import { pattern } from '../support/streams.ts'
import { connect, runEverywhere } from './run.ts'

const PEERS = 40

it(`reaches ${PEERS} peers behind one relay`, async () => {
  const data = pattern(1_000)

  const answers = await runEverywhere(`circuit relay, ${PEERS} peers`, async run => {
    const relay = await run.node('other', {
      // each of them is a stream of one protocol of the dialer
      relay: circuitRelayServer({ maxInboundHopStreams: PEERS, reservations: { maxReservations: PEERS } })
    })
    const transports = { transports: [tcp(), circuitRelayTransport({ reservationConcurrency: 4 })] }
    const [relayAddress] = relay.getMultiaddrs()

    const peers = await Promise.all(Array.from({ length: PEERS }, async () => run.node('other', {
      echo: echo({ runOnLimitedConnection: true })
    }, 'tcp', {
      ...transports,
      addresses: { listen: [`${relayAddress}/p2p-circuit`] }
    })))

    const dialer = await run.node('dialer', { echo: echo({ runOnLimitedConnection: true }) }, 'tcp', transports)

    await vi.waitFor(() => {
      expect(peers.filter(peer => peer.getMultiaddrs().length === 0)).toHaveLength(0)
    }, { timeout: 20_000, interval: 20 })

    // a listener takes no more than 10 streams before the connection is there
    await connect(dialer, relay)

    return run.time(async () => Promise.all(peers.map(async peer => {
      const answer = await dialer.services.echo.echo(peer.getMultiaddrs()[0], data, { signal: AbortSignal.timeout(10_000) })

      return Buffer.compare(answer.subarray(), data)
    })))
  })

  expect(answers).toEqual(Array.from({ length: PEERS }, () => 0))
})
