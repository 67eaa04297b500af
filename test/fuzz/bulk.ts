import fc from 'fast-check'
import { createOpenerNode, stopNodes, TRANSPORTS } from '../support/nodes.ts'
import { bulkPeer } from './bulk-peer.ts'
import { source } from './bulk-source.ts'
import { playTransfer } from './bulk-transfer.ts'
import { allOver } from './promises.ts'
import { RawListener } from './raw-listener.ts'
import { record } from './record.ts'
import { timersLeft } from './timers.ts'
import type { Transfer } from './bulk-transfer.ts'
import type { Fuzzer } from './fuzzer.ts'
import type { TransportName } from '../support/nodes.ts'

interface BulkCase {
  transport: TransportName

  /**
   * At the same time, on one connection
   */
  transfers: Transfer[]
}

const transfer = record<Transfer>({
  direction: fc.constantFrom('send', 'receive', 'both'),
  peer: bulkPeer,
  source,
  answer: fc.array(fc.constantFrom(1, 100, 1_000, 65_536, 300_000), { maxLength: 30, size: 'max' }),
  highWaterMark: fc.constantFrom(undefined, 1_000, 4_096, 65_536, 983_040, 10_000_000),
  leaveAt: fc.option(fc.nat(3_000), { nil: undefined, freq: 10 }),
  abortAfter: fc.option(fc.nat(40), { nil: undefined, freq: 8 }),
  progressThrows: fc.nat(15).map(number => number === 15)
})

export const bulk: Fuzzer<BulkCase> = {
  name: 'bulk',
  about: 'sendBulk and receiveBulk with hostile peers and hostile sources: what they resolve with is true, they reject with what is documented, and both can always be aborted',
  cases: record({
    transport: fc.constantFrom(...TRANSPORTS),
    transfers: fc.array(transfer, { minLength: 1, maxLength: 6 })
  }),
  long: 100,
  start: async () => {
    const timers = timersLeft()
    const dialer = await createOpenerNode()
    const listeners = new Map<TransportName, RawListener>()

    return {
      play: async ({ transport, transfers }) => {
        const listener = listeners.get(transport) ?? await RawListener.start(dialer, transport)

        listeners.set(transport, listener)
        await listener.identifyAgain()

        await allOver(transfers.map(async transfer => playTransfer(dialer, listener, transfer)))
        await listener.checkNothingIsLeft()
      },
      stop: async () => {
        await Promise.all([...listeners.values()].map(async listener => listener.stop()))
        await stopNodes(dialer)
        await timers.checkNoneAreLeft()
      }
    }
  }
}
