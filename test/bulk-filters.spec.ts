import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, it } from 'vitest'
import { filterByScope, filterByTransport, transportOf } from '../src/index.ts'
import { foundAddresses } from './support/found-addresses.ts'
import type { AddressScope, TransportName } from '../src/index.ts'

const RELAY = '12D3KooWGC6TvWhfapngX6wvJHHYvQXqpnx4UhBMHdcXfG2mZQmT'
const PEER = '12D3KooWHYhbKZhFxYVuLhUbLR7X2SP5VHiCUoEWVyYFn9Lwyihb'
const CERTHASH = 'uEiAkH5a4DPGKUuOBjYw0CgwjvcJCJMD2K_1aluKR_tpevQ'

const SCOPES: Record<AddressScope | 'none', string[]> = {
  loopback: [
    '/ip4/127.0.0.1',
    '/ip4/127.255.255.254',
    '/ip6/::1',
    '/ip6/::ffff:127.0.0.1',
    '/ip6/::ffff:7f00:1'
  ],
  lan: [
    '/ip4/10.0.0.0',
    '/ip4/10.255.255.255',
    '/ip4/172.16.0.0',
    '/ip4/172.31.255.255',
    '/ip4/192.168.0.0',
    '/ip4/192.168.255.255',
    '/ip4/100.64.0.0',
    '/ip4/100.127.255.255',
    '/ip4/169.254.0.0',
    '/ip4/169.254.255.255',
    '/ip6/fe80::1',
    '/ip6/FE80::1',
    '/ip6/fe81::1',
    '/ip6/febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
    '/ip6zone/eth0/ip6/fe80::1',
    '/ip6/fc00::1',
    '/ip6/fdff:ffff::1',
    '/ip6/::ffff:192.168.1.1',
    '/ip6/::ffff:c0a8:101',
    '/ip6/::ffff:100.64.0.1',
    '/ip6/::ffff:169.254.1.1'
  ],
  public: [
    '/ip4/1.1.1.1',
    '/ip4/9.255.255.255',
    '/ip4/11.0.0.0',
    '/ip4/100.63.255.255',
    '/ip4/100.128.0.0',
    '/ip4/126.255.255.255',
    '/ip4/128.0.0.0',
    '/ip4/169.253.255.255',
    '/ip4/169.255.0.0',
    '/ip4/172.15.255.255',
    '/ip4/172.32.0.0',
    '/ip4/192.167.255.255',
    '/ip4/192.169.0.0',
    '/ip4/223.255.255.255',
    '/ip6/2606:4700:4700::1111',
    '/ip6/3fff:ffff::1',
    '/ip6/::ffff:8.8.8.8',
    '/ip6/::ffff:172.32.0.0',

    // NAT64
    '/ip6/64:ff9b::8.8.8.8',
    '/ip6/64:ff9b::808:808',
    '/ip6/64:FF9B:0:0:0:0:8.8.8.8',

    // 6to4
    '/ip6/2002:808:808::1',
    '/ip6/2002:808:808:c0a8:101::1',

    // Teredo, of a client behind 8.8.8.8
    '/ip6/2001:0:4136:e378:8000:63bf:f7f7:f7f7',
    '/ip6/2001::f7f7:f7f7'
  ],
  none: [
    '/ip4/0.0.0.0',
    '/ip4/224.0.0.1',
    '/ip4/239.255.255.255',
    '/ip4/240.0.0.1',
    '/ip4/255.255.255.255',
    '/ip4/192.0.2.1',
    '/ip4/198.51.100.1',
    '/ip4/203.0.113.1',
    '/ip6/::',
    '/ip6/::192.168.1.1',
    '/ip6/::ffff:0.0.0.0',
    '/ip6/::ffff:224.0.0.1',
    '/ip6/2001:db8::1',
    '/ip6/fbff::1',
    '/ip6/fe7f::1',
    '/ip6/fec0::1',
    '/ip6/ff02::1',
    '/ip6/4000::1',
    '/ip6/::FFFF:192.0.2.1',
    '/ip6/64:ff9b::',
    '/ip6/64:ff9b::192.168.1.1',
    '/ip6/64:ff9b::127.0.0.1',
    '/ip6/64:ff9b::100.64.0.1',
    '/ip6/64:ff9b::224.0.0.1',
    '/ip6/64:ff9b::192.0.2.1',
    '/ip6/64:ff9b::1:8.8.8.8',
    '/ip6/64:ff9b:1::8.8.8.8',
    '/ip6/64:ff9b:1:808:8:800::',
    '/ip6/2002:c0a8:101::1',
    '/ip6/2002:7f00:1::1',
    '/ip6/2002:a00:1::808:808',
    '/ip6/2002:c000:201::1',
    '/ip6/2001:0:808:808:8000:63bf:3f57:fefe',
    '/ip6/2001:0:4136:e378:8000:63bf:3fff:fdd2',
    '/ip6/::8.8.8.8',
    '/ip6/::ffff:0:8.8.8.8',
    '/dns/localhost',
    '/dns4/nas.local',
    '/dns6/nas.local',
    '/dnsaddr/example.com',
    '/memory/192.168.1.1'
  ]
}

const TRANSPORTS: Array<[TransportName, string]> = [
  ['tcp', '/ip4/192.168.1.1/tcp/4001'],
  ['tcp', '/dns4/example.com/tcp/4001'],
  ['tcp', '/ip6zone/eth0/ip6/fe80::1/tcp/4001'],
  ['quic', '/ip4/192.168.1.1/udp/4001/quic-v1'],
  ['quic', '/ip4/192.168.1.1/udp/4001/quic'],
  ['ws', '/ip4/192.168.1.1/tcp/4001/ws'],
  ['ws', '/dns/example.com/tcp/80/ws'],
  ['wss', '/ip4/192.168.1.1/tcp/4001/tls/ws'],
  ['wss', '/ip4/192.168.1.1/tcp/4001/wss'],
  ['wss', '/dns4/example.com/tcp/443/wss'],
  ['wss', '/ip4/192.168.1.1/tcp/4001/tls/sni/example.com/ws'],
  ['webtransport', `/ip4/192.168.1.1/udp/4001/quic-v1/webtransport/certhash/${CERTHASH}`],
  ['webtransport', `/ip4/192.168.1.1/udp/4001/quic-v1/webtransport/certhash/${CERTHASH}/certhash/${CERTHASH}`],
  ['webrtc-direct', `/ip4/192.168.1.1/udp/4001/webrtc-direct/certhash/${CERTHASH}`],
  ['webrtc', `/ip4/192.168.1.1/tcp/4001/p2p/${RELAY}/p2p-circuit/webrtc`],
  ['webrtc', `/ip4/192.168.1.1/udp/4001/quic-v1/p2p/${RELAY}/p2p-circuit/webrtc`],

  // the listening end of one
  ['webrtc', '/webrtc'],
  ['relay', `/ip4/192.168.1.1/tcp/4001/p2p/${RELAY}/p2p-circuit`],
  ['relay', `/ip4/192.168.1.1/udp/4001/quic-v1/p2p/${RELAY}/p2p-circuit`],
  ['relay', `/ip4/192.168.1.1/tcp/4001/ws/p2p/${RELAY}/p2p-circuit`],
  ['relay', `/ip4/192.168.1.1/tcp/4001/tls/ws/p2p/${RELAY}/p2p-circuit`],
  ['relay', `/ip4/192.168.1.1/udp/4001/webrtc-direct/certhash/${CERTHASH}/p2p/${RELAY}/p2p-circuit`],
  ['relay', `/ip4/192.168.1.1/udp/4001/quic-v1/webtransport/certhash/${CERTHASH}/p2p/${RELAY}/p2p-circuit`],
  ['relay', `/p2p/${RELAY}/p2p-circuit`],
  ['memory', '/memory/1'],
  ['unknown', '/dnsaddr/example.com'],
  ['unknown', '/unix/%2Ftmp%2Fsocket'],
  ['unknown', '/ip4/192.168.1.1/udp/4001'],
  ['unknown', '/ip4/192.168.1.1']
]

describe('transports of addresses', () => {
  it.each(TRANSPORTS)('names %s: %s', (transport, addr) => {
    expect(transportOf(multiaddr(addr))).toBe(transport)
    expect(transportOf(multiaddr(addr).encapsulate(`/p2p/${PEER}`))).toBe(transport)
  })

  it('keeps the addresses on the transports in their order', () => {
    const addrs = TRANSPORTS.map(([, addr]) => multiaddr(addr))

    expect(filterByTransport(addrs, ['relay', 'memory']).map(String)).toEqual(TRANSPORTS.filter(([name]) => name === 'relay' || name === 'memory').map(([, addr]) => addr))
    expect(filterByTransport(addrs, 'webrtc-direct')).toHaveLength(1)
    expect(filterByTransport(addrs, [])).toEqual([])
  })
})

describe('addresses that are dialled', () => {
  it('are those of the peer, each once, the near ones first, and of those the ones whose transport libp2p prefers', async () => {
    const peer = peerIdFromString(PEER)
    const addrs = [
      '/dns4/example.com/tcp/1',
      `/ip4/192.168.1.1/tcp/1/p2p/${RELAY}/p2p-circuit`,
      '/ip4/1.1.1.1/udp/1/quic-v1',
      '/ip4/1.1.1.1/tcp/1',
      '/ip4/192.168.1.1/tcp/1/ws',
      '/ip4/192.168.1.1/udp/1/quic-v1',
      `/ip4/192.168.1.1/tcp/1/p2p/${RELAY}`,
      '/ip4/192.168.1.1/tcp/1',
      `/ip4/192.168.1.1/tcp/1/p2p/${PEER}`,
      '/ip4/127.0.0.1/udp/1/quic-v1'
    ].map(addr => multiaddr(addr))

    const found = await foundAddresses({ peer, addrs })

    expect(found.map(({ addr, transport, scope }) => [`${addr}`, transport, scope])).toEqual([
      [`/ip4/127.0.0.1/udp/1/quic-v1/p2p/${PEER}`, 'quic', 'loopback'],
      [`/ip4/192.168.1.1/tcp/1/p2p/${PEER}`, 'tcp', 'lan'],
      [`/ip4/192.168.1.1/tcp/1/ws/p2p/${PEER}`, 'ws', 'lan'],
      [`/ip4/192.168.1.1/udp/1/quic-v1/p2p/${PEER}`, 'quic', 'lan'],
      [`/ip4/1.1.1.1/tcp/1/p2p/${PEER}`, 'tcp', 'public'],
      [`/ip4/1.1.1.1/udp/1/quic-v1/p2p/${PEER}`, 'quic', 'public'],
      [`/dns4/example.com/tcp/1/p2p/${PEER}`, 'tcp', undefined],
      [`/ip4/192.168.1.1/tcp/1/p2p/${RELAY}/p2p-circuit/p2p/${PEER}`, 'relay', undefined]
    ])
  })
})

describe('scopes of addresses', () => {
  it.each(Object.entries(SCOPES).flatMap(([scope, ips]) => ips.map(ip => [ip, scope])))('%s is of scope %s', (ip, scope) => {
    const addr = ip.startsWith('/memory') ? multiaddr(ip) : multiaddr(`${ip}/tcp/4001`)
    const scopes = (['lan', 'loopback', 'public'] as AddressScope[]).filter(scope => filterByScope([addr], scope).length > 0)

    expect(scopes).toEqual(scope === 'none' ? [] : [scope])
  })

  it('does not take the network of a relay for that of the peer', () => {
    const addrs = [
      multiaddr(`/ip4/192.168.1.1/tcp/4001/p2p/${RELAY}/p2p-circuit/p2p/${PEER}`),
      multiaddr(`/ip4/192.168.1.1/tcp/4001/p2p/${RELAY}/p2p-circuit/webrtc/p2p/${PEER}`),
      multiaddr(`/ip4/192.168.1.1/tcp/4001/p2p/${RELAY}/p2p-circuit`)
    ]

    expect(filterByScope(addrs, 'lan')).toEqual([])
  })

  it('judges an address whatever stands behind the IP', () => {
    const addrs = ['udp/1/quic-v1', 'tcp/1/ws', 'tcp/1/tls/ws', `udp/1/webrtc-direct/certhash/${CERTHASH}`, 'tcp/1'].map(rest => multiaddr(`/ip4/192.168.1.1/${rest}/p2p/${PEER}`))

    expect(filterByScope(addrs, 'lan')).toEqual(addrs)
  })
})
