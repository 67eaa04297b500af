import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { gossipsub } from '@libp2p/gossipsub'
import { createOrbitDB, IPFSAccessController } from '@orbitdb/core'
import { createHeliaLight } from 'helia'
import * as dagCbor from '@ipld/dag-cbor'
import { expect, it, vi } from 'vitest'
import { connect, runEverywhere } from './run.ts'
import type { Role, Run } from './run.ts'

const ENTRIES = 40

async function startOrbitDB (run: Run, role: Role): Promise<any> {
  const directory = mkdtempSync(join(tmpdir(), 'libp2p-stream-opener-orbitdb-'))
  const ipfs = await withBitswap(withLibp2pLight(createHeliaLight({ codecs: [dagCbor] }), run.options(role, {
    pubsub: gossipsub({ allowPublishToZeroTopicPeers: true })
  }))).start()
  await run.link(ipfs.libp2p)
  const orbitdb = await createOrbitDB({ ipfs, directory })

  run.onEnd(async () => {
    await orbitdb.stop()
    await ipfs.stop()
    rmSync(directory, { recursive: true })
  })

  return orbitdb
}

it('OrbitDB replicates what was there, and what is added at both ends', async () => {
  const values = await runEverywhere(`OrbitDB, ${2 * ENTRIES} entries`, async run => {
    const other = await startOrbitDB(run, 'other')
    const dialer = await startOrbitDB(run, 'dialer')
    const db = await other.open('things', { AccessController: IPFSAccessController({ write: ['*'] }) })

    for (let i = 0; i < ENTRIES; i++) {
      await db.add(`old ${i}`)
    }

    await connect(dialer.ipfs.libp2p, other.ipfs.libp2p)

    return run.time(async () => {
      const replica = await dialer.open(db.address, {})
      const valuesOf = async (db: any): Promise<string[]> => (await db.all()).map(({ value }: any) => value).sort()

      await vi.waitFor(async () => { expect(await valuesOf(replica)).toHaveLength(ENTRIES) }, { timeout: 10_000, interval: 20 })

      for (let i = 0; i < ENTRIES / 2; i++) {
        await Promise.all([db.add(`new ${i}`), replica.add(`new ${i} of the replica`)])
      }

      await vi.waitFor(async () => {
        expect(await valuesOf(replica)).toHaveLength(2 * ENTRIES)
        expect(await valuesOf(db)).toHaveLength(2 * ENTRIES)
      }, { timeout: 10_000, interval: 20 })

      return [await valuesOf(db), await valuesOf(replica)]
    })
  })

  expect(values[1]).toEqual(values[0])
})
