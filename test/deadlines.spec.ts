import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Deadlines } from '../src/util/deadlines.ts'
import { EarliestTimer } from '../src/util/earliest-timer.ts'

let deadlines: Deadlines
let due: string[]

beforeEach(() => {
  vi.useFakeTimers()
  deadlines = new Deadlines()
  due = []
})

afterEach(() => {
  // what was spied on is of the clock that goes with this
  vi.restoreAllMocks()
  vi.useRealTimers()
})

function add (name: string, timeout: number): () => void {
  const onTimeout = (): void => { due.push(name) }
  deadlines.add(onTimeout, timeout)

  return onTimeout
}

it('calls each when its time is up, whoever was there first', () => {
  add('second', 200)
  add('third', 300)
  add('first', 100)

  vi.advanceTimersByTime(99)
  expect(due).toEqual([])
  // of a fake clock a turn takes 1 ms
  vi.advanceTimersByTime(2)
  expect(due).toEqual(['first'])
  vi.advanceTimersByTime(100)
  expect(due).toEqual(['first', 'second'])
  vi.advanceTimersByTime(100)
  expect(due).toEqual(['first', 'second', 'third'])
  expect(vi.getTimerCount()).toBe(0)
})

it('does not call what was deleted, also by one that is due at the same time', () => {
  const deleted = add('deleted', 100)
  deadlines.add(() => { deadlines.delete(last) }, 200)
  const last = add('last', 200)

  deadlines.delete(deleted)
  vi.advanceTimersByTime(1_000)
  expect(due).toEqual([])
})

it('sets one timer for any number of the same timeout, and leaves it alone when they come and go', () => {
  const setTimeouts = vi.spyOn(globalThis, 'setTimeout')

  for (let i = 0; i < 1_000; i++) {
    deadlines.delete(add('gone', 10_000))
    vi.advanceTimersByTime(1)
  }

  expect(setTimeouts.mock.calls).toHaveLength(1)
  // and none when there is nothing left
  vi.advanceTimersByTime(10_000)
  expect(vi.getTimerCount()).toBe(0)
  expect(due).toEqual([])
})

it('lets what has arrived be read before it calls anything', () => {
  const answered = add('answered', 100)
  add('silent', 100)

  // timers run before what is read in a turn
  vi.advanceTimersByTime(100)
  expect(due).toEqual([])
  deadlines.delete(answered)
  vi.advanceTimersByTime(1)
  expect(due).toEqual(['silent'])
})

it('does not call anything when it was stopped in between', () => {
  add('first', 100)
  vi.advanceTimersByTime(100)
  deadlines.stop()
  vi.advanceTimersByTime(100)
  expect(due).toEqual([])
})

it.each([['is over', -5], ['is as far off as can be', 2 ** 31 - 1]])('sets no timer that Node.js would warn of for a time that %s', (_, ms) => {
  const setTimeouts = vi.spyOn(globalThis, 'setTimeout')

  for (let i = 0; i < 100; i++) {
    const timer = new EarliestTimer(() => {})
    // a time that can not be added to without rounding
    vi.advanceTimersByTime(0.1 * i)
    timer.set(performance.now() + ms)
    timer.clear()
  }

  for (const [, delay] of setTimeouts.mock.calls) {
    expect(delay).toBeGreaterThanOrEqual(0)
    expect(delay).toBeLessThanOrEqual(2 ** 31 - 1)
  }
})

it('calls nothing any more when it was stopped', () => {
  add('first', 100)
  deadlines.stop()
  expect(vi.getTimerCount()).toBe(0)
  vi.advanceTimersByTime(1_000)
  expect(due).toEqual([])
})
