import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { multiaddr } from '@multiformats/multiaddr'
import { createLinks } from './links.ts'
import { readAddresses } from './with-listener.ts'
import type { Addresses } from './round-trips.ts'
import type { Transport } from './transports.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * Where the tests between implementations build it. It prints its addresses as a
 * line of JSON, and goes when its input ends.
 */
const GO_PEER = fileURLToPath(new URL('../../test/interop/.build/go-peer', import.meta.url))

export const GO_ECHO = '/interop/echo/1.0.0'

const ADDRESS: Partial<Record<Transport, string>> = {
  tcp: '/tcp/',
  quic: '/quic-v1'
}

/**
 * Starts the go-libp2p peer and calls the function as `withListener` does - returns
 * undefined if it was not built, or does not listen on the transport
 */
export async function withGoPeer <T> (transport: Transport, fn: (addresses: Addresses<Multiaddr>) => Promise<T>): Promise<T | undefined> {
  const wanted = ADDRESS[transport]

  if (wanted == null || !existsSync(GO_PEER)) {
    return
  }

  const child = spawn(GO_PEER, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')

  try {
    const [line] = await once(createInterface({ input: child.stdout }), 'line')
    const addrs: string[] = JSON.parse(line).addrs
    const addr = addrs.find(addr => addr.includes(wanted))

    if (addr == null) {
      return
    }

    const { addresses, relays } = await createLinks(multiaddr(addr))

    try {
      return await fn(readAddresses(addresses))
    } finally {
      await Promise.all(relays.map(async relay => relay.close()))
    }
  } finally {
    child.stdin.end()
    await exited
  }
}
