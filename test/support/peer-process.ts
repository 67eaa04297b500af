import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { multiaddr } from '@multiformats/multiaddr'
import { PEERS } from './peers.ts'
import type { PeerName } from './peers.ts'
import type { TransportName } from './nodes.ts'
import type { Multiaddr } from '@multiformats/multiaddr'

/**
 * What the sink of a peer says: the beginning of what it got, and how much it was
 * when it had ended
 */
export interface SinkEvent {
  event: 'received' | 'ended'
  data?: string
  bytes?: number
}

/**
 * Streams that a peer opens to us: each sends `size` bytes and the FIN as soon as it
 * can, and wants them back, in `timeout` ms
 */
export interface ExchangeInit {
  to: Multiaddr
  protocol: string
  size: number
  streams: number
  concurrency: number

  /**
   * Send the FIN when the answer is there, only go does that
   */
  waitForAnswer?: boolean
  timeout: number
}

export interface ExchangeReport {
  answered: number
  failures: string[]

  /**
   * What the go peer says as well: how long each took to the first byte of the answer
   * and to its end, and how long they took together, in ms
   */
  firstByte?: number[]
  total?: number[]
  took?: number
}

/**
 * A stream with bulk data that go opens: `size` bytes in writes of `chunk`, to who
 * answers the end with how many bytes it was
 */
export interface BulkInit {
  to: Multiaddr
  protocol: string
  size: number
  chunk: number
}

type Line = Partial<SinkEvent> & { peer?: string, addrs?: string[], id?: number, error?: string }

/**
 * A peer in a process of its own
 */
export interface PeerProcess {
  /**
   * What it is, with its version
   */
  name: string

  address(transport: TransportName): Multiaddr

  /**
   * Make it forget to handle a protocol, and not tell
   */
  drop(protocol: string): Promise<void>

  exchange(init: ExchangeInit): Promise<ExchangeReport>

  /**
   * Resolves with how long it took until the answer was there, in ms
   */
  bulk(init: BulkInit): Promise<number>

  /**
   * CPU time of the process so far, in us, only go knows
   */
  cpu(): Promise<number>

  /**
   * Resolves with the next event of a sink that is like this one
   */
  sink(event: SinkEvent): Promise<SinkEvent>

  stop(): Promise<void>
}

function isLike (line: Line, expected: Partial<Line>): boolean {
  return Object.entries(expected).every(([key, value]) => line[key as keyof Line] === value)
}

export async function startPeer (peer: PeerName): Promise<PeerProcess> {
  const [file, ...args] = PEERS[peer]
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  const waiting = new Set<(line: Line | Error) => void>()
  let ids = 0

  createInterface({ input: child.stdout }).on('line', line => {
    waiting.forEach(fn => { fn(JSON.parse(line)) })
  })

  child.on('exit', () => {
    waiting.forEach(fn => { fn(new Error(`${peer} has exited`)) })
  })

  async function lineLike (expected: Partial<Line>): Promise<Line> {
    return new Promise((resolve, reject) => {
      waiting.add(function look (line) {
        if (line instanceof Error) {
          reject(line)
        } else if (isLike(line, expected)) {
          waiting.delete(look)
          resolve(line)
        }
      })
    })
  }

  async function command (name: string, parameters: object): Promise<unknown> {
    const id = ids++
    const answer = lineLike({ id })

    child.stdin.write(`${JSON.stringify({ id, command: name, ...parameters })}\n`)

    const { id: _, error, ...result } = await answer

    if (error != null) {
      throw new Error(error)
    }

    return result
  }

  const { peer: name = '', addrs = [] } = await new Promise<Line>((resolve, reject) => {
    waiting.add(function first (line) {
      waiting.delete(first)

      if (line instanceof Error) {
        reject(line)
      } else {
        resolve(line)
      }
    })
  })

  return {
    name,
    address: transport => {
      const addr = addrs.find(addr => addr.includes(transport === 'quic' ? '/quic-v1' : '/tcp/'))

      if (addr == null) {
        throw new Error(`${name} does not listen on ${transport}`)
      }

      return multiaddr(addr)
    },
    drop: async protocol => { await command('drop', { protocol }) },
    exchange: async init => await command('exchange', { ...init, to: init.to.toString() }) as ExchangeReport,
    bulk: async init => (await command('bulk', { ...init, to: init.to.toString() }) as { took: number }).took,
    cpu: async () => (await command('cpu', {}) as { cpu: number }).cpu,
    sink: async event => await lineLike(event) as SinkEvent,
    stop: async () => {
      child.stdin.end()
      await exit
    }
  }
}
