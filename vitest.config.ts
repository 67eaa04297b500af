import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/*.spec.ts', 'test/compat/*.spec.ts'],
    // they end what hangs, how long something takes is not tested
    testTimeout: 300_000,
    hookTimeout: 300_000
  }
})
