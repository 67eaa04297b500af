import fc from 'fast-check'
import { createOpenerNode, stopNodes, TRANSPORTS } from '../support/nodes.ts'
import { playExchange } from './exchange.ts'
import { peer } from './peer.ts'
import { allOver } from './promises.ts'
import { RawListener } from './raw-listener.ts'
import { record } from './record.ts'
import { timersLeft } from './timers.ts'
import { user } from './user.ts'
import type { Exchange } from './exchange.ts'
import type { Fuzzer } from './fuzzer.ts'
import type { TransportName } from '../support/nodes.ts'

interface EchoCase {
  transport: TransportName

  /**
   * At the same time, on one connection
   */
  exchanges: Exchange[]
}

export const echo: Fuzzer<EchoCase> = {
  name: 'echo',
  about: 'Listeners answer handshakes with mutated echoes, and users do with their streams what they like: nobody reads a byte of an echo, or loses one behind it',
  cases: record({
    transport: fc.constantFrom(...TRANSPORTS),
    exchanges: fc.array(record({ user, peer }), { minLength: 1, maxLength: 8 })
  }),
  long: 300,
  start: async () => {
    const timers = timersLeft()
    const dialer = await createOpenerNode()
    const listeners = new Map<TransportName, RawListener>()

    return {
      play: async ({ transport, exchanges }) => {
        const listener = listeners.get(transport) ?? await RawListener.start(dialer, transport)
        listeners.set(transport, listener)
        await listener.identifyAgain()

        await allOver(exchanges.map(async exchange => playExchange(dialer, listener, exchange)))
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
