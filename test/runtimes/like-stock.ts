/**
 * The short form of test/like-stock*.spec.ts, for runtimes that vitest does not run on:
 * every answer and every way to read it, once, and programs that take a write for a
 * message
 */
import { ANSWERS, isAsGoodWith } from '../like-stock/answers.ts'
import { closeThenRead } from '../like-stock/close-then-read.ts'
import { compareWithStock } from '../like-stock/compare.ts'
import { isJoined, PAUSES, takeMessages, writeMessages } from '../like-stock/messages.ts'
import { READERS } from '../like-stock/readers.ts'
import { createWorld } from '../like-stock/world.ts'
import type { TransportName } from '../support/nodes.ts'

const MESSAGES = 'takes messages'
const TRANSPORTS = process.argv.slice(2) as TransportName[]
let programs = 0
let deviations = 0

function report (name: string, different: string[]): void {
  programs++
  deviations += different.length
  different.forEach(line => { process.stdout.write(`${name}: ${line}\n`) })
}

for (const transport of TRANSPORTS) {
  const world = await createWorld(transport, 'yamux', { ...ANSWERS, [MESSAGES]: takeMessages })

  for (const answer of Object.keys(ANSWERS)) {
    for (const [reader, read] of Object.entries(READERS)) {
      const compared = await compareWithStock(world, ['at once'], {
        run: async (side, start) => closeThenRead(side, answer, read, start),
        isAsGood: isAsGoodWith(answer, reader)
      })

      report(`${transport}, a listener that ${answer}, read with ${reader}`, compared.deviations)
    }
  }

  for (const pause of Object.keys(PAUSES)) {
    const compared = await compareWithStock(world, [pause], {
      run: async side => writeMessages(side, MESSAGES, pause),
      isAsGood: (seen, { how }) => (how === 'newStream' || transport === 'quic') && isJoined(seen)
    })

    report(`${transport}, messages ${pause}`, compared.deviations)
  }
}

process.stdout.write(`${programs} programs, ${deviations} of them not like stock\n`)
// @libp2p/websockets 10 does not stop on Bun 1.4, with stock either
process.exit(deviations === 0 ? 0 : 1)
