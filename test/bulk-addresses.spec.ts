import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { base36 } from 'multiformats/bases/base36'
import { base58btc } from 'multiformats/bases/base58'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { defaultAddressSorter } from '../node_modules/libp2p/dist/src/connection-manager/address-sorter.js'
import { findAddresses } from '../src/bulk/dial/addresses.ts'
import { addressOf, createOpenerNode, createStockNode, stopNodes } from './support/nodes.ts'
import { ECHO, echo, exchange } from './support/streams.ts'
import type { NodeInit, OpenerServices, TestServices } from './support/nodes.ts'
import type { Address, Libp2p, PeerId, Stream } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

const RSA = peerIdFromString('QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N')

/**
 * As many as are dialled
 */
const MAX = 25

let listener: Libp2p<TestServices>
let stock: Libp2p<TestServices>
let dialer: Libp2p<OpenerServices>

beforeEach(async () => {
  [listener, stock, dialer] = await Promise.all([createStockNode('tcp'), createStockNode(undefined), createOpenerNode()])
  await listener.handle(ECHO, echo)
})

afterEach(async () => stopNodes(dialer, stock, listener))

/**
 * The address of the listener, with an id that is written like this
 */
function addressWith (id: unknown): Multiaddr {
  return multiaddr(`${addressOf(listener).decapsulate(`/p2p/${listener.peerId}`)}/p2p/${String(id)}`)
}

async function outcomeOf (opening: Promise<Stream>): Promise<string> {
  try {
    return [...await exchange(await opening, Uint8Array.of(1, 2, 3))].join()
  } catch (err: any) {
    return err.name
  }
}

/**
 * What becomes of a bulk stream, of one of a session, and of an ordinary one while there
 * is a session
 */
async function outcomesOf (addrs: Multiaddr[]): Promise<string[]> {
  const { streamOpener } = dialer.services

  return [
    await outcomeOf(streamOpener.openBulkStream(addrs, ECHO).then(({ stream }) => stream)),
    await outcomeOf(streamOpener.openBulkSession(addrs, ECHO).then(async session => (await session.openStream()).stream)),
    await outcomeOf(streamOpener.newStream(addrs, ECHO))
  ]
}

async function order (addresses: Address[], peer: PeerId = RSA): Promise<string[]> {
  const found = await findAddresses({ peerStore: { get: async () => ({ addresses }) } } as any, { peer, addrs: [] }, {} as any, {})

  return found.map(({ addr }) => `${addr}`.replace(`/p2p/${peer}`, ''))
}

function signed (addr: string): Address {
  return { multiaddr: multiaddr(addr), isCertified: true }
}

function unsigned (addr: string): Address {
  return { multiaddr: multiaddr(addr), isCertified: false }
}

describe('the addresses of one peer', () => {
  it('may spell its id in all ways that libp2p knows', async () => {
    const cid = listener.peerId.toCID()
    await dialer.services.streamOpener.openBulkSession(addressOf(listener), ECHO, { force: true })
    const spellings = [[listener.peerId, cid], [cid, listener.peerId], [listener.peerId, cid.toString(base36), cid]]

    for (const ids of spellings) {
      const addrs = ids.map(addressWith)
      const expected = await outcomeOf(stock.dialProtocol(addrs, ECHO))

      expect(expected).toBe('1,2,3')
      expect(await outcomesOf(addrs)).toEqual([expected, expected, expected])
    }
  })

  it('are dialled once each, however its id is spelled', async () => {
    const [first, ...others] = await findAddresses({} as any, {
      peer: RSA,
      addrs: [RSA.toCID(), RSA, RSA.toCID().toString(base36)].map(id => multiaddr(`/ip4/1.2.3.4/tcp/1/p2p/${String(id)}`))
    }, {} as any, {})

    expect(`${first?.addr}`).toBe(`/ip4/1.2.3.4/tcp/1/p2p/${RSA}`)
    expect(others).toEqual([])
  })

  it('are those with its id, not those of others and those with an id that is none', async () => {
    const others = ['garbage', 'QmFoo', listener.peerId, listener.peerId.toCID()]

    expect(await order(others.map(id => unsigned(`/ip4/1.2.3.4/tcp/1/p2p/${String(id)}`)))).toEqual([])
  })

  it('cannot have different ids, or ids that are none, as with libp2p', async () => {
    const { peerId } = listener
    const cid = peerId.toCID()
    const plain = addressOf(listener)
    const none = addressOf(listener).decapsulate(`/p2p/${peerId}`)

    const targets = [
      [plain, addressWith(stock.peerId)],
      [plain, addressWith(RSA.toCID())],
      [plain, none],
      [none, plain],
      ...['garbage', `f${cid}`, cid.toString(base58btc), `z${peerId}`, 'QmFoo', `${peerId}`.slice(0, -3), '1', '15TJUr',
        'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi',
        'bafzbgqdnkghywmorrax6vtqqveqv6xmm6wx6an3ffiordwobicgzrdbkj5y2l3p4qxihcl5d6trbwlakergiydjthovukqyr4jagpuvihzpfs'
      ].flatMap(id => [[addressWith(id)], [plain, addressWith(id)]])
    ]

    await dialer.services.streamOpener.openBulkSession(plain, ECHO, { force: true })

    for (const addrs of targets) {
      const expected = await outcomeOf(stock.dialProtocol(addrs, ECHO))
      const name = ['Error', 'RangeError', 'TypeError'].includes(expected) ? 'InvalidParametersError' : expected

      expect(expected).toMatch(/Error$/)
      expect(await outcomesOf(addrs)).toEqual([name, name, expected])
      expect(dialer.getConnections()).toHaveLength(1)
    }
  })
})

describe('addresses that somebody has made up', () => {
  const fakes = Array.from({ length: MAX }, (_, i) => unsigned(`/ip4/${i === 0 ? '0.0.0.0' : `127.0.0.${i}`}/tcp/1`))
  let real: Multiaddr
  let dialled: string[]
  let node: Libp2p<OpenerServices>

  beforeEach(async () => {
    // nothing says that this is on the same machine
    real = multiaddr(`${addressOf(listener)}`.replace('/ip4/127.0.0.1/', '/dns4/localhost/'))
    dialled = []

    const multiaddrs = [...fakes.map(({ multiaddr }) => multiaddr), real]

    node = await createOpenerNode({}, {
      peerRouters: [() => ({ findPeer: async (id: PeerId) => ({ id, multiaddrs }), getClosestPeers: async function * () {} })],
      connectionGater: {
        denyDialMultiaddr: addr => {
          dialled.push(`${addr}`)
          return false
        }
      }
    } as NodeInit)
  })

  afterEach(async () => stopNodes(node))

  it.each([
    ['is certified', true],
    ['is not certified', false],
    ['was found with them by peer routing', undefined]
  ])('neither keep the real one from being dialled nor are dialled before it, if that %s', async (_, isCertified) => {
    const { peerId } = listener

    if (isCertified != null) {
      await node.peerStore.merge(peerId, { addresses: [...fakes, { multiaddr: real, isCertified }] })
    }

    const { stream, connection } = await node.services.streamOpener.openBulkStream(peerId, ECHO, { transport: 'tcp', fallback: 'none' })

    expect([...await exchange(stream, Uint8Array.of(1))]).toEqual([1])
    expect(`${connection.remoteAddr}`).toBe(`${real}`)
    expect(dialled[0]).toBe(`${real}`)
  })
})

describe('addresses that are known of a peer', () => {
  const addrs = ['/ip4/127.0.0.1/tcp/1', '/ip4/192.168.1.1/tcp/1', '/ip4/1.1.1.1/tcp/1', '/dns4/example.com/tcp/1', '/ip6/::1/tcp/1', '/ip6/fc00::1/tcp/1', '/ip4/100.64.0.1/tcp/1']

  it('are sorted as libp2p sorts them where the peer has not signed them', async () => {
    for (let i = 0; i < addrs.length; i++) {
      const known = [...addrs.slice(i), ...addrs.slice(0, i)].map(unsigned)

      expect(await order(known)).toEqual(defaultAddressSorter([...known]).map(({ multiaddr }) => `${multiaddr}`))
    }
  })

  it('have those of relays, and those that nobody can have, last', async () => {
    const last = [`/ip4/1.1.1.1/tcp/1/p2p/${RSA}/p2p-circuit`, '/ip4/0.0.0.0/tcp/1', '/ip6/::/tcp/1', '/ip4/224.0.0.1/tcp/1']
    const sorted = await order([...last, ...addrs.slice(1, 4)].map(unsigned), listener.peerId)

    expect(sorted.slice(0, 3).sort()).toEqual(addrs.slice(1, 4).sort())
    expect(sorted.slice(3).sort()).toEqual(last.toSorted())
  })

  it('are near ones first where the peer has signed them, and these come before all others', async () => {
    expect(await order([
      unsigned('/ip4/127.0.0.1/tcp/2'), unsigned('/ip4/1.1.1.1/tcp/2'), unsigned('/ip4/192.168.1.1/tcp/2'),
      signed('/dns4/example.com/tcp/1'), signed('/ip4/1.1.1.1/tcp/1'), signed('/ip4/192.168.1.1/tcp/1'), signed('/ip4/127.0.0.1/tcp/1')
    ])).toEqual([
      '/ip4/127.0.0.1/tcp/1', '/ip4/192.168.1.1/tcp/1', '/ip4/1.1.1.1/tcp/1', '/dns4/example.com/tcp/1',
      '/ip4/1.1.1.1/tcp/2', '/ip4/192.168.1.1/tcp/2', '/ip4/127.0.0.1/tcp/2'
    ])
  })

  it('are signed if one of two that are the same is', async () => {
    const twice = [unsigned('/ip4/127.0.0.1/tcp/1'), signed(`/ip4/127.0.0.1/tcp/1/p2p/${RSA}`), unsigned('/ip4/127.0.0.1/tcp/1')]

    expect(await order([unsigned('/ip4/1.1.1.1/tcp/1'), ...twice])).toEqual(['/ip4/127.0.0.1/tcp/1', '/ip4/1.1.1.1/tcp/1'])
  })
})
