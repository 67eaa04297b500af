/**
 * `npm run bench -- dial <multiaddr>`: what the path to another machine is good for
 */
import { multiaddr } from '@multiformats/multiaddr'
import { transportOf } from '../../src/index.ts'
import { askStatus, Lane, MAX_STREAMS } from '../parts/bulk/lane.ts'
import { addressOf, familyOf } from '../parts/bulk/listener.ts'
import { KIB_64, laneCells, measureCells, MIB, printCells, socketCells } from '../parts/bulk/matrix.ts'
import { PATHS, SOCKET_AMOUNT, SOCKETS } from '../parts/bulk/paths.ts'
import { transfer } from '../parts/bulk/pipe.ts'
import { openSocket } from '../parts/bulk/sockets.ts'
import { BOTH_ENDS, WAYS } from '../parts/bulk/ways.ts'
import { print } from '../parts/print.ts'
import { number } from '../parts/table.ts'
import { recommend } from './recommend.ts'
import type { Status } from '../parts/bulk/listener.ts'
import type { Measured, Sockets } from '../parts/bulk/matrix.ts'
import type { Pipe } from '../parts/bulk/pipe.ts'
import type { Scenario, ScenarioInit } from '../parts/scenario.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * How long one sample should take, in s, however slow the path is
 */
const SECONDS = 0.5
const QUICK_SECONDS = 0.25

function why (err: any): string {
  if (err.name === 'TimeoutError') {
    return 'there is no answer'
  }

  const errors: any[] = err.errors ?? []

  return [err.message, ...errors.map(({ message }) => message)].filter(message => message !== '').join(', ')
}

/**
 * The path that the address is on, and what the listener says
 */
async function reach (addr: Multiaddr): Promise<{ lane: Lane, status: Status }> {
  // the listener prints the addresses of its stock node
  const path = PATHS.find(({ transport, node }) => transport === transportOf(addr) && node === 'stock')

  if (path == null) {
    throw new Error('It is not an address of TCP, QUIC or WebSockets')
  }

  const lane = await Lane.open(path, addr)

  try {
    return { lane, status: await askStatus(lane.connection) }
  } catch (err) {
    await lane.close()

    throw new Error(`It answers, but not as 'npm run bench -- listen' does: ${why(err)}`)
  }
}

async function reachOthers (given: Multiaddr, first: Lane, status: Status): Promise<Lane[]> {
  const lanes: Lane[] = []
  const [host] = given.getComponents()

  for (const path of PATHS) {
    try {
      // the address that was given is one that can be reached, those that the listener
      // knows of may not be
      lanes.push(path === first.path ? first : await Lane.open(path, addressOf(path, `/${host?.name}/${host?.value}`, status)))
    } catch (err) {
      print(`${path.name} can not be reached and is left out: ${why(err)}`)
    }
  }

  return lanes
}

async function reachSockets (given: Multiaddr, { ports }: Status): Promise<Sockets> {
  const host = String(given.getComponents()[0]?.value)
  const sockets: Sockets = { host, ports: {} }

  for (const name of SOCKETS) {
    const port = ports[familyOf(given)][name]

    try {
      if (port != null) {
        const pipe = await openSocket(name, host, port)
        await Promise.all([pipe.answer, pipe.send([])])
        sockets.ports[name] = port
      }
    } catch (err) {
      print(`Bare sockets with ${name} can not be reached and are left out: ${why(err)}`)
    }
  }

  return sockets
}

/**
 * In MB/s, of transfers that become longer until one takes about so many s: at first
 * windows have to grow, and what a stream takes to open and to end counts for much
 */
async function rateOf (open: () => Promise<Pipe>, seconds: number): Promise<number> {
  for (let amount = MIB; ; amount *= 4) {
    const { rate } = await transfer([await open()], { amount, chunk: KIB_64, listenerCpu: async () => 0 })

    if (amount / 1e6 / rate > seconds / 2 || amount > SOCKET_AMOUNT * MIB) {
      return rate
    }
  }
}

/**
 * How much of what a path takes on one machine is sent for a sample
 */
async function scales (lanes: Lane[], sockets: Sockets, seconds: number): Promise<Map<string, number>> {
  const scales = new Map<string, number>()
  const add = (name: string, amount: number, rate: number): void => {
    scales.set(name, Math.max(MIB, Math.min(rate * 1e6 * seconds, amount * MIB)) / (amount * MIB))
  }

  for (const lane of lanes) {
    const rate = await rateOf(async () => {
      const [pipe] = await lane.openPipes(BOTH_ENDS, 'shared', 1)

      return pipe as Pipe
    }, seconds)

    print(`${lane.path.name} is there: ${number(rate)} MB/s`)
    add(lane.path.name, lane.path.amount, rate)
  }

  for (const name of SOCKETS) {
    const port = sockets.ports[name]

    if (port != null && !scales.has('bare socket')) {
      add('bare socket', SOCKET_AMOUNT, await rateOf(async () => openSocket(name, sockets.host, port), seconds))
    }
  }

  return scales
}

async function measure (lanes: Lane[], sockets: Sockets, { quick, recorder }: ScenarioInit): Promise<Measured[]> {
  const [control] = lanes
  const amounts = await scales(lanes, sockets, quick ? QUICK_SECONDS : SECONDS)
  const all: Measured[] = []
  const listenerCpu = async (): Promise<number> => control == null ? 0 : (await askStatus(control.connection)).cpu

  for (const streams of [1, 4, MAX_STREAMS]) {
    print(`measuring ${streams === 1 ? '1 stream' : `${streams} streams at once`} ...`)
    await Promise.all(lanes.map(async lane => lane.prepare(streams === 1 ? 'shared' : 'per-stream', streams)))

    const cells = { streams, chunks: [KIB_64], scale: (path: string) => amounts.get(path) ?? 1, listenerCpu }
    const measured = await measureCells([
      // a single stream has a connection of its own either way
      ...laneCells(lanes, { ...cells, ways: WAYS, connections: streams === 1 ? ['shared'] : ['shared', 'per-stream'] }),
      ...socketCells(sockets, cells)
    ], { warmUp: quick ? 0 : 1, rounds: quick ? 1 : 3 })

    printCells(measured, recorder)
    all.push(...measured)
  }

  return all
}

export function dial (given: string): Scenario {
  const addr = multiaddr(given)

  return {
    name: 'dial',
    about: `Bulk data to ${given}`,

    async run (init) {
      let lanes: Lane[] = []

      try {
        const { lane, status } = await reach(addr)
        lanes = [lane]
        lanes = await reachOthers(addr, lane, status)

        const sockets = await reachSockets(addr, status)
        recommend(await measure(lanes, sockets, init), lanes.map(({ path }) => path))
      } catch (err: any) {
        print(`${given} can not be measured: ${why(err)}`)
        process.exitCode = 1
      } finally {
        await Promise.all(lanes.map(async lane => lane.close()))
      }

      return []
    }
  }
}
