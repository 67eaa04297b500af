/**
 * `npm run bench -- listen [port]`: what another machine measures the path to
 */
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import { addressOf, startBulkListener } from '../parts/bulk/listener.ts'
import { PATHS, SOCKETS } from '../parts/bulk/paths.ts'
import { print } from '../parts/print.ts'
import type { BulkListener, Family, Ports } from '../parts/bulk/listener.ts'
import type { Path } from '../parts/bulk/paths.ts'

interface Host {
  family: Family
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

/**
 * Those of the stock node, it says where the rest is
 */
function addressesOf (listener: BulkListener, { family, address }: Host): string[] {
  const paths = PATHS.filter(({ name, node }) => node === 'stock' && listener.ports[family][name] != null)

  return [...new Set(paths.map(path => addressOf(path, `/${family}/${address}`, listener).toString()))]
}

function printPorts ({ ports: { ip4 } }: BulkListener): void {
  const list = (names: Array<keyof Ports>): string => [...new Set(names.map(name => ip4[name]))].join(', ')
  const isUdp = ({ transport }: Path): boolean => transport === 'quic'

  print(`A firewall has to let through TCP ${list([...PATHS.filter(path => !isUdp(path)).map(({ name }) => name), ...SOCKETS])} and UDP ${list(PATHS.filter(isUdp).map(({ name }) => name))}. What it does not is left out.`)
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
