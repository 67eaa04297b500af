/**
 * Files share a process: one that leaves something else behind than it has found, like a
 * clock that stands still, is to fail itself, and not the next one
 */
import { afterAll, expect, vi } from 'vitest'

const SAME = Symbol.for('libp2p-stream-opener.test.globals')

function look (): object {
  const { Date, clearImmediate, clearInterval, clearTimeout, performance, process, queueMicrotask, setImmediate, setInterval, setTimeout } = globalThis

  return {
    Date,
    clearImmediate,
    clearInterval,
    clearTimeout,
    now: performance.now,
    nextTick: process.nextTick,
    queueMicrotask,
    setImmediate,
    setInterval,
    setTimeout,
    random: Math.random,
    timeout: AbortSignal.timeout,
    captureStackTrace: Error.captureStackTrace
  }
}

const shared = globalThis as { [SAME]?: object }
const before = shared[SAME] ??= look()

afterAll(() => {
  // vitest does so before the next test, which is in another file
  vi.restoreAllMocks()
  expect(Object.entries(look()).filter(([name, value]) => before[name as keyof typeof before] !== value).map(([name]) => name)).toEqual([])
})
