/**
 * Programs of whole nodes: what they see without intercept they see with it
 */
import { expect } from 'vitest'
import { streamOpener } from '../../src/index.ts'
import { createStockNode, stopNodes } from '../support/nodes.ts'
import { nameOf } from './observe.ts'
import type { NodeInit, TransportName } from '../support/nodes.ts'
import type { Libp2p } from '@libp2p/interface'

type Create = (transport: TransportName | undefined, init?: NodeInit) => Promise<Libp2p<any>>

/**
 * Creates the nodes of a program, which are stopped after it, the last one first
 */
export interface Creates {
  dialer: Create
  other: Create
}

type Program = (create: Creates) => Promise<unknown[]>

async function run (program: Program, intercepts: Record<keyof Creates, boolean>): Promise<unknown[]> {
  const nodes: Libp2p[] = []

  const create = async (role: keyof Creates, transport: TransportName | undefined, init: NodeInit = {}): Promise<Libp2p<any>> => {
    const node = await createStockNode<any>(transport, {
      ...init,
      services: { ...init.services, ...intercepts[role] ? { streamOpener: streamOpener({ intercept: true }) } : {} }
    })
    nodes.push(node)

    return node
  }

  try {
    return await program({
      dialer: async (...args) => create('dialer', ...args),
      other: async (...args) => create('other', ...args)
    })
  } finally {
    await stopNodes(...nodes.reverse())
  }
}

/**
 * Whatever the program sees without intercept it sees with it, at the dialer and at both
 * ends, or what is as good
 */
export async function expectAlike (program: Program, isAsGood?: RegExp): Promise<void> {
  const stock = await run(program, { dialer: false, other: false })

  expect(stock.length).toBeGreaterThan(0)

  for (const other of [false, true]) {
    const ours = await run(program, { dialer: true, other })

    expect(isAsGood?.test(ours.join()) === true ? stock : ours).toEqual(stock)
  }
}

/**
 * What has become of it, as something that can be compared
 */
export async function outcome (promise: Promise<unknown>): Promise<string> {
  return promise.then(result => result instanceof Uint8Array ? new TextDecoder().decode(result) : typeof result, nameOf)
}
