import { withGoCells } from '../parts/bulk/go.ts'
import { askStatus, Lane } from '../parts/bulk/lane.ts'
import { addressOf } from '../parts/bulk/listener.ts'
import { KIB_64, laneCells, measureCells, MIB, printCells, socketCells } from '../parts/bulk/matrix.ts'
import { PATHS } from '../parts/bulk/paths.ts'
import { printRemark, targetsOf } from '../parts/bulk/targets.ts'
import { BOTH_ENDS, PLAIN, SEND_BULK, WAITING } from '../parts/bulk/ways.ts'
import { print } from '../parts/print.ts'
import { withChild } from '../parts/with-child.ts'
import type { Endpoints } from '../parts/bulk/listener.ts'
import type { Cell, CellsInit, Measured, Sockets } from '../parts/bulk/matrix.ts'
import type { Scenario, ScenarioInit } from '../parts/scenario.ts'

/**
 * How much of a sample it takes until the code is compiled
 */
const WARM_UP = 0.1

/**
 * Of each path, the least that the targets are about
 */
const QUICK = 0.2

const SEVERAL = 4

const HOST = '127.0.0.1'

interface Group {
  name: string
  rounds: number

  cells(init: Pick<CellsInit, 'scale' | 'listenerCpu'>): Cell[]
}

/**
 * What no target and no chart needs is left out: the whole should take less than five
 * minutes
 */
function groupsOf (lanes: Lane[], sockets: Sockets, go: Cell[]): Group[] {
  const connections = ['shared' as const]

  return [
    {
      name: '1 stream',
      rounds: 7,
      cells: init => [
        ...laneCells(lanes, { ...init, streams: 1, connections, ways: [PLAIN, WAITING, BOTH_ENDS], chunks: [MIB, KIB_64] }),
        ...laneCells(lanes, { ...init, streams: 1, connections, ways: [SEND_BULK], chunks: [KIB_64] }),
        ...socketCells(sockets, { ...init, streams: 1, chunks: [KIB_64] }),
        ...go
      ]
    },
    {
      name: `${SEVERAL} streams at once, on one connection`,
      rounds: 5,
      cells: init => [
        ...laneCells(lanes, { ...init, streams: SEVERAL, connections, ways: [PLAIN, WAITING, BOTH_ENDS], chunks: [KIB_64] }),
        ...socketCells(sockets, { ...init, streams: SEVERAL, chunks: [KIB_64] })
      ]
    }
  ]
}

async function measureGroups (lanes: Lane[], sockets: Sockets, listenerCpu: CellsInit['listenerCpu'], { quick, recorder }: ScenarioInit): Promise<Measured[]> {
  return withGoCells(quick ? QUICK : 1, async go => {
    const all: Measured[] = []

    for (const { name, rounds, cells } of groupsOf(lanes, sockets, go)) {
      print(`measuring ${name} ...`)
      await measureCells(cells({ scale: () => WARM_UP, listenerCpu }), { warmUp: 1, rounds: 0 })

      const measured = await measureCells(cells({ scale: () => quick ? QUICK : 1, listenerCpu }), { warmUp: 0, rounds: quick ? 3 : rounds })

      printCells(measured, recorder)
      all.push(...measured)
    }

    return all
  })
}

async function measure (endpoints: Endpoints, init: ScenarioInit): Promise<Measured[]> {
  const lanes: Lane[] = []

  try {
    for (const path of PATHS) {
      lanes.push(await Lane.open(path, addressOf(path, `/ip4/${HOST}`, endpoints)))
    }

    const [{ connection }] = lanes as [Lane]
    const sockets = { host: HOST, ports: { 'node:tls': endpoints.ports.ip4['node:tls'] } }

    return await measureGroups(lanes, sockets, async () => (await askStatus(connection)).cpu, init)
  } finally {
    await Promise.all(lanes.map(async lane => lane.close()))
  }
}

export const bulk: Scenario = {
  name: 'bulk',
  about: 'Bulk data from one process to another, beside what libp2p, bare sockets and go-libp2p do, on loopback',

  async run (init) {
    const measured = await withChild('./bulk/child.ts', [], async (endpoints: Endpoints) => measure(endpoints, init))

    printRemark(measured)

    return targetsOf(measured)
  }
}
