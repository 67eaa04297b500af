/**
 * Each kind of test is a project. `npm test` runs `nodes` and `measured`, the others
 * have scripts of their own.
 */
import { globSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { playwright } from '@vitest/browser-playwright'
import { defineConfig } from 'vitest/config'
import { PROGRAMS } from './test/apps/programs.ts'
import { commands } from './test/browser/commands.ts'
import { findChromium } from './test/browser/find-chromium.ts'
import { importsFrom } from './test/support/imports-from.ts'
import { TREES } from './test/versions/trees.ts'

const NODES = ['test/*.spec.ts', 'test/compat/*.spec.ts']
const MEASURED = ['test/measured/*.spec.ts']

/**
 * Those that repeat something so often, or have such a table, that `npm test` does a
 * part of it
 */
const soaked = (files: string[]): string[] => globSync(files).filter(file => readFileSync(file, 'utf8').includes('support/rounds.ts'))

const ALL = {
  // they end what hangs, how long something takes is not tested
  testTimeout: 300_000,
  hookTimeout: 300_000,
  // the logger asks for each stream whether it may use them
  env: { DEBUG_COLORS: 'no' },
  setupFiles: 'test/support/equal-bytes.ts'
}

/**
 * So many files at a time. By default vitest leaves one of two cores to itself, which
 * needs next to nothing.
 */
const together = (maxWorkers: number, groupOrder: number): object => ({ maxWorkers, sequence: { groupOrder } })

/**
 * One file after the other, when nothing else runs
 */
const alone = (groupOrder: number): object => ({ fileParallelism: false, sequence: { groupOrder } })

const executablePath = findChromium()
const trees = join(tmpdir(), `libp2p-stream-opener-versions-${process.pid}`)
const apps = join(tmpdir(), `libp2p-stream-opener-apps-${process.pid}`)
const runtimes = join(tmpdir(), `libp2p-stream-opener-runtimes-${process.pid}`)

export default defineConfig({
  test: {
    projects: [{
      test: {
        ...ALL,
        // a part of the time each waits for timers, or for a process of its own
        ...together(4, 0),
        // a file stops its nodes and leaves nothing behind, and to import libp2p for each
        // of them is half a second for a core
        isolate: false,
        setupFiles: [ALL.setupFiles, 'test/support/same-globals.ts'],
        name: 'nodes',
        include: NODES,
        provide: { isSoak: false }
      }
    }, {
      // memory, promises, or time that many others would take away
      test: {
        ...ALL,
        ...together(3, 1),
        name: 'measured',
        include: MEASURED,
        provide: { isSoak: false }
      }
    }, {
      test: {
        ...ALL,
        ...together(2, 2),
        name: 'soak',
        include: soaked(NODES),
        provide: { isSoak: true }
      }
    }, {
      test: {
        ...ALL,
        ...alone(3),
        name: 'soak: measured',
        include: soaked(MEASURED),
        provide: { isSoak: true }
      }
    }, {
      // in a page of the Chromium that is installed
      test: {
        ...ALL,
        ...alone(4),
        name: 'browser',
        // its script says so where there is none, and fails in CI
        include: executablePath == null ? [] : ['test/browser/*.spec.ts'],
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
    }, {
      // peers in processes of their own are enough to do for two cores
      test: {
        ...ALL,
        ...alone(5),
        name: 'interop',
        include: ['test/interop/*.spec.ts']
      }
    }, {
      // each program is many nodes and relays in one process
      plugins: [importsFrom(join(apps, 'programs'), Object.keys(PROGRAMS))],
      test: {
        ...ALL,
        ...alone(6),
        name: 'apps',
        include: ['test/apps/*.spec.ts'],
        globalSetup: 'test/apps/setup.ts',
        provide: { folder: apps }
      }
    }, {
      test: {
        ...ALL,
        ...alone(7),
        name: 'runtimes',
        include: ['test/runtimes/*.spec.ts'],
        globalSetup: 'test/runtimes/setup.ts',
        provide: { folder: runtimes }
      }
    }, ...TREES.map(({ name, spec }, i) => ({
      plugins: [importsFrom(join(trees, `${i}`))],
      test: {
        ...ALL,
        ...alone(8 + i),
        name: `versions: ${name}`,
        include: ['test/versions/packages.spec.ts', `test/versions/${spec}.spec.ts`],
        globalSetup: 'test/versions/setup.ts',
        provide: { folder: trees, tree: join(trees, `${i}`) }
      }
    }))]
  }
})
