import { forkReady } from '../../test/support/fork-ready.ts'

/**
 * Starts a script of this folder in a process of its own, calls the function with
 * the first thing that it sends, and stops it
 */
export async function withChild <Ready, T> (script: string, args: string[], fn: (ready: Ready) => Promise<T>): Promise<T> {
  const { ready, stop } = await forkReady<Ready>(new URL(script, import.meta.url), args)

  try {
    return await fn(ready)
  } finally {
    await stop()
  }
}
