import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/**
 * Starts a script of this folder in a process of its own, calls the function with
 * the first thing that it sends, and stops it
 */
export async function withChild <Ready, T> (script: string, args: string[], fn: (ready: Ready) => Promise<T>): Promise<T> {
  const child = fork(fileURLToPath(new URL(script, import.meta.url)), args)
  const exited = once(child, 'exit')

  try {
    const ready = await Promise.race([
      once(child, 'message').then(([ready]) => ready),
      exited.then(([code]) => { throw new Error(`${script} did not start, its process ended with ${code}`) })
    ])

    return await fn(ready)
  } finally {
    if (child.connected) {
      child.disconnect()
    }

    await exited
  }
}
