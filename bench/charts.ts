/**
 * `npm run bench:charts -- FILE`: draws what `npm run bench -- --json FILE` measured,
 * into the folder of the file
 */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { draw } from './charts/draw.ts'
import { CHARTS } from './charts/index.ts'
import { print } from './parts/print.ts'
import { readResults } from './parts/results.ts'

const [file] = process.argv.slice(2)

if (file == null) {
  throw new Error('npm run bench:charts -- FILE')
}

const { about, scenarios } = readResults(file)

for (const { name, scenario, title, spec } of CHARTS) {
  const result = scenarios.find(({ name }) => name === scenario)

  if (result != null) {
    const svg = join(dirname(file), `${name}.svg`)

    writeFileSync(svg, await draw(title, about, spec(result)))
    print(svg)
  }
}
