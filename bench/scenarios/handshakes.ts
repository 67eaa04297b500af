import { createHandshakeNode, ENCRYPTERS, shakeHands } from '../parts/handshakes.ts'
import { interleave } from '../parts/interleave.ts'
import { print } from '../parts/print.ts'
import { pairedRatioOf } from '../parts/statistics.ts'
import { printTable, spread } from '../parts/table.ts'
import { withChild } from '../parts/with-child.ts'
import type { EncrypterName, Handshakes } from '../parts/handshakes.ts'
import type { Recorder } from '../parts/recorder.ts'
import type { Scenario, ScenarioInit } from '../parts/scenario.ts'
import type { Estimate } from '../parts/statistics.ts'
import type { Target } from '../parts/targets.ts'
import type { Libp2p } from '@libp2p/interface'

type Blocks = Record<EncrypterName, Handshakes[]>

const OURS: EncrypterName = 'TLS on the socket'
const UPSTREAM: EncrypterName = '@libp2p/tls'

/**
 * How many connections a sample has
 */
const SIZE = 40

/**
 * How many nodes dial at the same time
 */
const MODES = { 'one after the other': 1, '8 at a time': 8 }

async function measure (addrs: Record<EncrypterName, string>, dialers: number, quick: boolean): Promise<Blocks> {
  const nodes = new Map<EncrypterName, Libp2p[]>()

  try {
    for (const name of ENCRYPTERS) {
      nodes.set(name, await Promise.all(Array.from({ length: dialers }, async () => createHandshakeNode(name))))
    }

    const samplers = Object.fromEntries([...nodes].map(([name, nodes]) => [name, async () => shakeHands(nodes, addrs[name], SIZE)]))

    return await interleave(samplers, { warmUp: quick ? 1 : 4, rounds: quick ? 4 : 15 }) as Blocks
  } finally {
    await Promise.all([...nodes.values()].flat().map(async node => node.stop()))
  }
}

function report (mode: string, blocks: Blocks, recorder: Recorder): Target[] {
  const rate = (name: EncrypterName): number[] => blocks[name].map(({ time }) => 1e6 / time)
  const cpu = (name: EncrypterName): number[] => blocks[name].map(({ dialer, listener }) => dialer + listener)
  const toUpstream = (of: typeof cpu): Estimate => pairedRatioOf(of(OURS), of(UPSTREAM))

  printTable(['connections', 'encrypter', 'per second', 'CPU of the dialer, us', 'of the listener'], ENCRYPTERS.map(encrypter => {
    const labels = { mode, encrypter }

    return [
      mode,
      encrypter,
      spread(recorder.add('connections', '1/s', labels, rate(encrypter))),
      spread(recorder.add('CPU of the dialer', 'us', labels, blocks[encrypter].map(({ dialer }) => dialer))),
      spread(recorder.add('CPU of the listener', 'us', labels, blocks[encrypter].map(({ listener }) => listener)))
    ]
  }))

  return [
    { name: `connections per second with ${OURS} to ${UPSTREAM}, ${mode}`, value: toUpstream(rate), atLeast: 1 },
    { name: `CPU of a connection at both ends with ${OURS} to ${UPSTREAM}, ${mode}`, value: toUpstream(cpu), atMost: 1 }
  ]
}

export const handshakes: Scenario = {
  name: 'handshakes',
  about: 'Connections that are dialled and closed again, with noise, @libp2p/tls and TLS on the socket, on loopback',

  async run ({ quick, recorder }: ScenarioInit) {
    return withChild('./handshake-listener.ts', [], async (addrs: Record<EncrypterName, string>) => {
      const targets: Target[] = []

      for (const [mode, dialers] of Object.entries(MODES)) {
        print(`measuring connections, ${mode} ...`)
        targets.push(...report(mode, await measure(addrs, dialers, quick), recorder))
      }

      return targets
    })
  }
}
