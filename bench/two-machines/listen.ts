/**
 * `npm run bench -- listen [port]`: what another machine measures the path to
 */
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { startBulkListener } from '../parts/bulk/listener.ts'
import { print } from '../parts/print.ts'
import type { BulkListener } from '../parts/bulk/listener.ts'

interface Host {
  family: 'ip4' | 'ip6'
  address: string
}

/**
 * Link-local addresses of IPv6 mean something else on each machine
 */
function hosts (): Host[] {
  const all = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
  const outside = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))

  return (outside.length > 0 ? outside : all)
    .map(({ family, address }): Host => ({ family: family === 'IPv6' ? 'ip6' : 'ip4', address }))
    .sort((a, b) => a.family.localeCompare(b.family))
}

function addressesOf ({ node, ports }: BulkListener, { family, address }: Host): string[] {
  const { tcp, quic, ws } = ports[family]
  const paths = [
    tcp == null ? [] : `tcp/${tcp}`,
    quic == null ? [] : `udp/${quic}/quic-v1`,
    ws == null ? [] : `tcp/${ws}/ws`
  ].flat()

  return paths.map(path => `/${family}/${address}/${path}/p2p/${node.peerId}`)
}

function printPorts ({ ports }: BulkListener): void {
  const { tcp, quic, ws, ...sockets } = ports.ip4

  print(`A firewall has to let through TCP ${[tcp, ws, sockets['node:net'], sockets['node:tls']].join(', ')} and UDP ${quic}. What it does not is left out.`)
}

export async function listen (port: string | undefined): Promise<void> {
  const listener = await startBulkListener(['/ip4/0.0.0.0', '/ip6/::'], Number(port ?? 0))
  const [first, ...others] = hosts().flatMap(host => addressesOf(listener, host))

  print('Listening. On the other machine run')
  print(`\n  npm run bench -- dial ${first}\n`)
  print('or with another address, one is enough:')
  others.forEach(addr => { print(`  ${addr}`) })
  printPorts(listener)
  print('Stop with Ctrl+C')

  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  await listener.close()
  process.exit()
}
