import { isPrivateIp } from '@libp2p/utils'
import { IpNet, ipToString } from '@chainsafe/netmask'
import { Circuit, WebRTC } from '@multiformats/multiaddr-matcher'
import { transportOf } from '../../transport-of.ts'
import type { AddressScope, BulkTransport } from '../types.ts'
import type { Component, Multiaddr } from '@multiformats/multiaddr'

/**
 * IPv4 as the part of IPv6 that it is mapped to, so that there is one way to judge
 * both
 *
 * @see https://datatracker.ietf.org/doc/html/rfc4291#section-2.5.5.2
 */
function ip4Net (network: string, bits: number): IpNet {
  return new IpNet(`::ffff:${network}/${96 + bits}`)
}

const IP4 = ip4Net('0.0.0.0', 0)

const LOOPBACK = [
  ip4Net('127.0.0.0', 8),
  new IpNet('::1/128')
]

const LAN = [
  // RFC 1918
  ip4Net('10.0.0.0', 8),
  ip4Net('172.16.0.0', 12),
  ip4Net('192.168.0.0', 16),

  // CGNAT, RFC 6598
  ip4Net('100.64.0.0', 10),

  // link-local, RFC 3927 and RFC 4291
  ip4Net('169.254.0.0', 16),
  new IpNet('fe80::/10'),

  // unique local, RFC 4193
  new IpNet('fc00::/7')
]

const MULTICAST = [
  ip4Net('224.0.0.0', 4)
]

/**
 * All that is routed globally is in here, RFC 4291
 */
const GLOBAL_UNICAST = new IpNet('2000::/3')

/**
 * Networks whose addresses have an IPv4 address in them. It has to be a public one in
 * all of them, what leads to others is to be dropped, so there is nothing in the LAN or
 * on this machine to be reached by these.
 *
 * No others are here: 64:ff9b:1::/48 (RFC 8215) is for translation within a network,
 * which does not say where the IPv4 address is in it, and IPv4-compatible (::/96) and
 * IPv4-translated addresses (::ffff:0:0:0/96) are not used any more.
 */
const EMBEDDING: Array<{ net: IpNet, ip4Of(ip: Uint8Array): Uint8Array }> = [
  // NAT64, RFC 6052, section 3.1
  { net: new IpNet('64:ff9b::/96'), ip4Of: ip => ip.subarray(12) },

  // 6to4, RFC 3056, section 2
  { net: new IpNet('2002::/16'), ip4Of: ip => ip.subarray(2, 6) },

  // Teredo, RFC 4380, sections 4 and 5.2.4: that of the client's NAT, inverted
  { net: new IpNet('2001::/32'), ip4Of: ip => ip.subarray(12).map(byte => ~byte) }
]

const HOSTS = ['ip4', 'ip6', 'dns', 'dns4', 'dns6']

function isIn (nets: IpNet[], ip: string): boolean {
  return nets.some(net => net.contains(ip))
}

function isPublic (ip: string): boolean {
  const embedding = EMBEDDING.find(({ net }) => net.contains(ip))

  if (embedding != null) {
    return isPublic(`::ffff:${ipToString(embedding.ip4Of(new IpNet(ip, 128).network))}`)
  }

  return isPrivateIp(ip) === false && !isIn(MULTICAST, ip) && (IP4.contains(ip) || GLOBAL_UNICAST.contains(ip))
}

/**
 * What stands in front, an IP or a DNS name
 */
export function hostOf (addr: Multiaddr): Component | undefined {
  const [first, second] = addr.getComponents()
  const host = first?.name === 'ip6zone' ? second : first

  return host != null && HOSTS.includes(host.name) ? host : undefined
}

/**
 * Where the address leads to, or undefined where it does not say
 */
export function scopeOf (addr: Multiaddr): AddressScope | undefined {
  const { name, value } = hostOf(addr) ?? {}

  // the IP is that of the relay
  if (Circuit.matches(addr) || WebRTC.matches(addr) || value == null || (name !== 'ip4' && name !== 'ip6')) {
    return
  }

  const ip = name === 'ip4' ? `::ffff:${value}` : value

  if (isIn(LOOPBACK, ip)) {
    return 'loopback'
  }

  if (isIn(LAN, ip)) {
    return 'lan'
  }

  if (isPublic(ip)) {
    return 'public'
  }
}

/**
 * The addresses on these transports, in their order
 */
export function filterByTransport (addrs: Multiaddr[], transports: BulkTransport | BulkTransport[]): Multiaddr[] {
  const wanted: string[] = Array.isArray(transports) ? transports : [transports]

  return addrs.filter(addr => wanted.includes(transportOf(addr)))
}

/**
 * The addresses that lead to there, in their order
 */
export function filterByScope (addrs: Multiaddr[], scope: AddressScope): Multiaddr[] {
  return addrs.filter(addr => scopeOf(addr) === scope)
}
