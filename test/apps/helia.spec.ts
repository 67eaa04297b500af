import { withBitswap } from '@helia/bitswap'
import { libp2pDefaults, withLibp2pLight } from '@helia/libp2p'
import { unixfs } from '@helia/unixfs'
import { createHelia, createHeliaLight } from 'helia'
import { streamOpener } from 'libp2p-stream-opener'
import { describe, expect, it } from 'vitest'
import { pattern } from '../support/streams.ts'
import { connect, OVER_LINKS, runEverywhere, TRANSPORTS } from './run.ts'
import type { Role, Run, TransportName } from './run.ts'

/**
 * A file, and how many of them are fetched one after the other
 */
const FILES: Array<[name: string, size: number, count: number]> = [
  ['1 KiB', 1024, 10],
  ['1 MiB', 1024 * 1024, 2],
  ['20 MiB', 20 * 1024 * 1024, 1]
]

async function startHelia (run: Run, role: Role, transport: TransportName): Promise<any> {
  const helia = await withBitswap(withLibp2pLight(createHeliaLight(), run.options(role, {}, transport))).start()
  run.onEnd(async () => helia.stop())
  await run.link(helia.libp2p)

  return helia
}

/**
 * One that has files, and one that is connected to it
 */
async function startPair (run: Run, transport: TransportName): Promise<{ provider: any, dialer: any }> {
  const provider = await startHelia(run, 'other', transport)
  const dialer = await startHelia(run, 'dialer', transport)
  await connect(dialer.libp2p, provider.libp2p)

  return { provider, dialer }
}

/**
 * Distinguishable files
 */
function filesOf (size: number, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const file = pattern(size)
    file[0] = i
    file[1] = i >> 8

    return file
  })
}

async function read (fs: any, cid: unknown): Promise<Buffer> {
  const chunks = []

  for await (const chunk of fs.cat(cid)) {
    chunks.push(chunk)
  }

  return Buffer.concat(chunks)
}

describe.each(TRANSPORTS)('Helia over %s', transport => {
  describe.each([
    ['without a session', (dialer: any) => dialer.blockstore],
    ['with a session', (dialer: any, cid: unknown, provider: any) => dialer.blockstore.createSession(cid, { providers: provider.libp2p.getMultiaddrs() })]
  ])('%s', (how, blockstoreOf) => {
    it.each(FILES)('gets files of %s', async (name, size, count) => {
      const files = filesOf(size, count)

      const areSame = await runEverywhere(`Helia, ${count} × ${name} ${how}, ${transport}`, async run => {
        const { provider, dialer } = await startPair(run, transport)
        const fs = unixfs(provider)
        const cids = await Promise.all(files.map(async file => fs.addBytes(file)))
        const areSame: boolean[] = []

        await run.time(async () => {
          for (const [i, cid] of cids.entries()) {
            const blockstore = blockstoreOf(dialer, cid, provider)
            areSame.push(Buffer.compare(await read(unixfs({ blockstore }), cid), files[i] ?? Buffer.of()) === 0)
          }
        })

        return areSame
      }, OVER_LINKS)

      expect(areSame).toEqual(files.map(() => true))
    })
  })

  it('gets a directory of 300 files', async () => {
    const files = filesOf(1024, 300)

    const names = await runEverywhere(`Helia, a directory of 300 files, ${transport}`, async run => {
      const { provider, dialer } = await startPair(run, transport)
      let root: any

      for await (const { cid } of unixfs(provider).addAll(files.map((content, i) => ({ path: `/${i}`, content })), { wrapWithDirectory: true })) {
        root = cid
      }

      return run.time(async () => {
        const fs = unixfs(dialer)
        const reads: Array<Promise<string>> = []

        for await (const { name, cid } of fs.ls(root)) {
          reads.push(read(fs, cid).then(file => Buffer.compare(file, files[Number(name)] ?? Buffer.of()) === 0 ? name : `${name} is not the same`))
        }

        return (await Promise.all(reads)).sort()
      })
    })

    expect(names).toEqual(files.map((_, i) => `${i}`).sort())
  })
})

it('gets a file with all that createHelia comes with, and one line more', async () => {
  const [file = new Uint8Array()] = filesOf(1024 * 1024, 1)
  const nodes: any[] = []

  for (let i = 0; i < 2; i++) {
    const libp2p = libp2pDefaults()
    libp2p.services.streamOpener = streamOpener({ intercept: true })
    nodes.push(await createHelia({ libp2p }).start())
  }

  const [provider, dialer] = nodes

  try {
    const cid = await unixfs(provider).addBytes(file)
    await dialer.libp2p.dial(provider.libp2p.getMultiaddrs())

    expect(Buffer.compare(await read(unixfs(dialer), cid), file)).toBe(0)
    expect(dialer.libp2p.services.streamOpener.status(provider.libp2p.peerId).protocols).toContain('/ipfs/bitswap/1.2.0')
  } finally {
    await Promise.all(nodes.map(async node => node.stop()))
  }
})
