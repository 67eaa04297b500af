import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/interop/*.spec.ts'],
    testTimeout: 120_000,
    hookTimeout: 60_000,
    // with other peers in processes of their own there is enough to do for two cores
    fileParallelism: false
  }
})
