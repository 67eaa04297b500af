/**
 * Where the CPU time of this process goes, as `node --cpu-prof` has it, only for
 * some of the time
 */
import { Session } from 'node:inspector/promises'
import type { Profiler as Domain } from 'node:inspector'

export type Profile = Domain.Profile

/**
 * Returns what was computed while the function ran
 */
export type Profiler = (fn: () => Promise<void>) => Promise<Profile>

/**
 * In us
 */
const SAMPLING_INTERVAL = 100

export async function withProfiler <T> (fn: (profile: Profiler) => Promise<T>): Promise<T> {
  const session = new Session()
  session.connect()

  try {
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: SAMPLING_INTERVAL })

    return await fn(async fn => {
      await session.post('Profiler.start')
      await fn()

      return (await session.post('Profiler.stop')).profile
    })
  } finally {
    session.disconnect()
  }
}

const SRC = new URL('../../src/', import.meta.url).href

const V8: Record<string, string> = {
  '(garbage collector)': 'garbage collection',
  '(program)': 'native code',
  '(idle)': 'idle'
}

/**
 * Where a function was written: `src` for this package, the name of another one,
 * `node` or `bench` - undefined for what belongs to whoever calls it
 */
function ownerOf ({ functionName, url }: Profile['nodes'][number]['callFrame']): string | undefined {
  const [, name] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url) ?? []

  if (name != null) {
    return name
  }

  if (url.startsWith(SRC)) {
    return 'src'
  }

  return url.startsWith('file:') ? 'bench' : V8[functionName]
}

export interface Share {
  owner: string

  /**
   * `function (file:line)`, for ours
   */
  name: string
  time: number
}

/**
 * How long each owner computed, in us. What Node.js and V8 do themselves belongs to
 * the package that called them, and where nobody did, to Node.js.
 */
export function sharesOf ({ nodes, samples = [], timeDeltas = [] }: Profile): Share[] {
  const byId = new Map(nodes.map(node => [node.id, node]))
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map(child => [child, id] as const)))
  const shares = new Map<number, Share>()

  function shareOf (id: number): Share {
    const node = byId.get(id)
    const parent = parents.get(id)

    if (node == null) {
      return { owner: 'node', name: '', time: 0 }
    }

    const owner = ownerOf(node.callFrame)

    if (owner == null) {
      return parent == null ? { owner: 'node', name: '', time: 0 } : found(parent)
    }

    const { functionName, url, lineNumber } = node.callFrame

    return { owner, name: `${functionName === '' ? 'anonymous' : functionName} (${url.split('/').at(-1)}:${lineNumber + 1})`, time: 0 }
  }

  function found (id: number): Share {
    let share = shares.get(id)

    if (share == null) {
      share = shareOf(id)
      shares.set(id, share)
    }

    return share
  }

  samples.forEach((id, i) => {
    found(id).time += timeDeltas[i + 1] ?? 0
  })

  return [...new Set(shares.values())]
}
