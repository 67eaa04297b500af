/**
 * Runs the tests in test/browser/ in a page of the Chromium that is installed
 */
import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'
import { commands } from './test/browser/commands.ts'
import { findChromium } from './test/browser/find-chromium.ts'

const executablePath = findChromium()

if (executablePath == null) {
  const message = 'No Chromium was found: install it (Debian: apt-get install chromium) or set CHROMIUM to its executable.'

  if (process.env.CI === 'true') {
    throw new Error(message)
  }

  process.stderr.write(`\n${message}\nTHE TESTS FOR BROWSERS ARE SKIPPED.\n\n`)
}

export default defineConfig({
  test: {
    include: executablePath == null ? [] : ['test/browser/*.spec.ts'],
    passWithNoTests: executablePath == null,
    testTimeout: 300_000,
    hookTimeout: 300_000,
    browser: {
      enabled: true,
      headless: true,
      screenshotFailures: false,
      provider: playwright({ launchOptions: { executablePath, args: ['--no-sandbox'] } }),
      instances: [{ browser: 'chromium' }],
      commands
    }
  },
  optimizeDeps: {
    // what vite finds while the tests run makes it load the page again
    entries: ['test/browser/*.spec.ts']
  }
})
