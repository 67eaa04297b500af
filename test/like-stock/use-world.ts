import { afterAll, beforeAll } from 'vitest'
import { createWorld } from './world.ts'
import type { World } from './world.ts'

/**
 * A world for the tests of a file, or of a part of it
 */
export function useWorld (...args: Parameters<typeof createWorld>): () => World {
  let world: World

  beforeAll(async () => {
    world = await createWorld(...args)
  })

  afterAll(async () => {
    await world.stop()
  })

  return () => world
}
