import { multiaddr } from '@multiformats/multiaddr'
import { createOpenerNode } from '../../../test/support/nodes.ts'
import { STATUS } from './listener.ts'
import { pipeOf, readJson, WAYS } from './ways.ts'
import type { Status } from './listener.ts'
import type { Path } from './paths.ts'
import type { Pipe } from './pipe.ts'
import type { Way } from './ways.ts'
import type { BulkConnections, BulkSession } from '../../../src/index.ts'
import type { OpenerServices } from '../../../test/support/nodes.ts'
import type { Connection, Libp2p } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

export const MAX_STREAMS = 16

export async function askStatus (connection: Connection): Promise<Status> {
  const stream = await connection.newStream(STATUS)
  const [status] = await Promise.all([readJson(stream), stream.close()])

  return status as Status
}

/**
 * A path to the listener: a node of its own, its sessions, and what libp2p opens on
 * the connections of those
 */
export class Lane {
  readonly path: Path
  readonly connection: Connection
  readonly #node: Libp2p<OpenerServices>
  readonly #addr: Multiaddr
  readonly #sessions = new Map<string, Promise<BulkSession>>()

  static async open (path: Path, addr: Multiaddr): Promise<Lane> {
    const node = await createOpenerNode({ quicReads: path.node === 'ours' }, { connectionEncrypters: [path.encrypter] })

    try {
      const connection = await node.dial(addr)

      return new Lane(path, addr, node, connection)
    } catch (err) {
      await node.stop()

      throw err
    }
  }

  private constructor (path: Path, addr: Multiaddr, node: Libp2p<OpenerServices>, connection: Connection) {
    this.path = path
    this.connection = connection
    this.#addr = addr
    this.#node = node
  }

  async openPipes (way: Way, connections: BulkConnections, streams: number): Promise<Pipe[]> {
    const session = await this.#session(way.reader, connections)

    if (!way.isStock) {
      return Promise.all(Array.from({ length: streams }, async () => pipeOf((await session.openStream()).stream, way)))
    }

    return Promise.all(Array.from({ length: streams }, async (_, i) => {
      const connection = session.connections[i % session.connections.length] ?? this.connection

      return pipeOf(await connection.newStream(way.reader), way)
    }))
  }

  /**
   * Dial all that it takes: that is paced, so it takes seconds
   */
  async prepare (connections: BulkConnections, streams: number): Promise<void> {
    await Promise.all([...new Set(WAYS.map(({ reader }) => reader))].map(async reader => {
      const session = await this.#session(reader, connections)
      const opened = await Promise.all(Array.from({ length: streams }, async () => session.openStream()))

      await Promise.all(opened.map(async ({ stream }) => Promise.all([readJson(stream), stream.close()])))
    }))
  }

  async close (): Promise<void> {
    await this.#node.stop()
  }

  async #session (reader: string, connections: BulkConnections): Promise<BulkSession> {
    const key = `${reader} ${connections}`
    let session = this.#sessions.get(key)

    if (session == null) {
      session = this.#node.services.streamOpener.openBulkSession(multiaddr(this.#addr), reader, {
        transport: this.path.transport,
        fallback: 'none',
        connections,
        ...(connections === 'per-stream' ? { maxConnections: MAX_STREAMS } : {})
      })
      this.#sessions.set(key, session)
    }

    return session
  }
}
