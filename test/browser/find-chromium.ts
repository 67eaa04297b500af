import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome']

const MAC = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'

function isExecutable (path: string): boolean {
  try {
    accessSync(path, constants.X_OK)

    return true
  } catch {
    return false
  }
}

/**
 * The executable of a Chromium: the one that the environment variable `CHROMIUM`
 * names, otherwise the first one that is found in the `PATH`
 */
export function findChromium (): string | undefined {
  const { CHROMIUM, PATH = '' } = process.env

  if (CHROMIUM != null && CHROMIUM !== '') {
    return CHROMIUM
  }

  const folders = PATH.split(delimiter).filter(folder => folder !== '')

  return [...NAMES.flatMap(name => folders.map(folder => join(folder, name))), MAC].find(isExecutable)
}

if (import.meta.main && findChromium() == null) {
  process.stderr.write('\nNo Chromium was found: install it (Debian: apt-get install chromium) or set CHROMIUM to its executable.\nTHE TESTS FOR BROWSERS ARE SKIPPED.\n\n')
  process.exitCode = process.env.CI === 'true' ? 1 : 0
}
