/**
 * The listeners in Node.js that the page dials
 */
import { peerIdFromString } from '@libp2p/peer-id'
import { toString } from 'uint8arrays/to-string'
import { streamOpener } from '../../src/index.ts'
import { addressOf, createStockNode } from '../support/nodes.ts'
import { createRelay } from '../support/relay.ts'
import { bytes, ECHO, echo, exchange } from '../support/streams.ts'
import { NOTES } from './listener-commands.ts'
import type { StreamOpener } from '../../src/index.ts'
import type { OpenerServices } from '../support/nodes.ts'
import type { Relay } from '../support/relay.ts'
import type { Listener, ListenerCommands, ListenerKind } from './listener-commands.ts'
import type { Libp2p, Stream } from '@libp2p/interface'
import type { BrowserCommand } from 'vitest/node'

/**
 * What was noted, and who waits for it
 */
class Notes {
  readonly #notes = new Map<string, PromiseWithResolvers<void>>()

  add (note: string): void {
    this.#get(note).resolve()
  }

  async wait (note: string): Promise<void> {
    return this.#get(note).promise
  }

  #get (note: string): PromiseWithResolvers<void> {
    const found = this.#notes.get(note) ?? Promise.withResolvers<void>()
    this.#notes.set(note, found)

    return found
  }
}

interface RunningListener {
  node: Libp2p
  opener?: StreamOpener
  relay: Relay
  notes: Notes
}

const listeners = new Map<number, RunningListener>()
let lastId = 0

function find (id: number): RunningListener {
  const listener = listeners.get(id)

  if (listener == null) {
    throw new Error(`There is no listener ${id}`)
  }

  return listener
}

async function startListener (kind: ListenerKind): Promise<Listener> {
  const node = await createStockNode<Partial<OpenerServices>>('ws', kind === 'guarded' ? { services: { streamOpener: streamOpener({ negotiation: 'always' }) } } : {})
  const notes = new Notes()

  await node.handle(ECHO, echo)
  await node.handle(NOTES, async stream => takeNotes(stream, notes))

  const relay = await createRelay(addressOf(node))
  const id = ++lastId
  listeners.set(id, { node, opener: node.services.streamOpener, relay, notes })

  return { id, peerId: `${node.peerId}`, addr: `${relay.addr}` }
}

async function takeNotes (stream: Stream, notes: Notes): Promise<void> {
  let request = ''

  for await (const chunk of stream) {
    request += toString(chunk.subarray())
    notes.add(request)
  }

  notes.add(`end of ${request}`)
  stream.send(bytes(request))
  await stream.close()
}

const listenerCommands: ListenerCommands = {
  startListener,
  stopListener: async id => {
    const { node, relay } = find(id)

    listeners.delete(id)
    relay.release()
    await node.stop()
    await relay.close()
  },
  hold: async id => { find(id).relay.hold() },
  release: async id => { find(id).relay.release() },
  noted: async (id, note) => find(id).notes.wait(note),
  ask: async (id, peerId, protocol, request) => {
    const { opener } = find(id)

    if (opener == null) {
      throw new Error('A stock listener can not send the end in the first flight')
    }

    const stream = await opener.newStream(peerIdFromString(peerId), protocol, { halfClose: 'immediate' })

    return toString(await exchange(stream, bytes(request)))
  }
}

/**
 * As vitest wants them
 */
export const commands: Record<string, BrowserCommand<any>> = Object.fromEntries(Object.entries(listenerCommands).map(([name, command]) => [
  name,
  async (_context: unknown, ...args: any) => command(...args as [any, any, any, any])
]))
