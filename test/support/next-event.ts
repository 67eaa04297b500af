import type { TypedEventTarget } from '@libp2p/interface'

/**
 * The next event of that name, with the type that it has
 */
export async function nextEvent <Events extends Record<string, any>, Name extends keyof Events> (target: TypedEventTarget<Events>, name: Name): Promise<Events[Name]> {
  return new Promise(resolve => {
    target.addEventListener(name, resolve, { once: true })
  })
}
