import { fork } from 'node:child_process'
import { once } from 'node:events'
import type { ChildProcess } from 'node:child_process'

export interface Forked<Ready> {
  child: ChildProcess

  /**
   * The first thing that it has sent
   */
  ready: Ready
  exited: Promise<unknown>

  /**
   * It has to go when this process disconnects from it
   */
  stop(): Promise<void>
}

/**
 * Starts a script in a process of its own, and waits until it says something
 */
export async function forkReady <Ready> (script: URL, args: string[]): Promise<Forked<Ready>> {
  const child = fork(script, args, { execArgv: [] })
  const exited = once(child, 'exit')

  const ready = await Promise.race([
    once(child, 'message').then(([ready]) => ready),
    exited.then(([code]) => { throw new Error(`${script.pathname} did not start, its process ended with ${code}`) })
  ])

  return {
    child,
    ready,
    exited,
    stop: async () => {
      if (child.connected) {
        child.disconnect()
      }

      await exited
    }
  }
}
