/**
 * Programs that send a last message and close the connection
 */
import { sendBulk } from '../../src/index.ts'
import { bytes, pattern } from '../support/streams.ts'
import { arrived, calledBy } from './arrivals.ts'
import { nameOf, observe, ticks } from './observe.ts'
import { nextRequest, REQUEST_LENGTH } from './request.ts'
import type { TransportName } from '../support/nodes.ts'
import type { NewDialer, Side } from './side.ts'
import type { Stream } from '@libp2p/interface'

type Open = () => Promise<Stream>

type Send = (open: Open, messages: string[]) => Promise<void>

const BULK = 200_000

async function send (open: Open, message: string): Promise<Stream> {
  const stream = await open()
  stream.send(bytes(message))

  return stream
}

/**
 * How the messages are sent, and how long each is
 */
const SENDS: Record<string, { send: Send, messages?: number, length?: number }> = {
  'closes the stream': {
    send: async (open, [message = '']) => (await send(open, message)).close()
  },
  'closes the stream without waiting for that': {
    send: async (open, [message = '']) => { (await send(open, message)).close().catch(() => {}) }
  },
  'leaves the stream open': {
    send: async (open, [message = '']) => { await send(open, message) }
  },
  'closes several streams': {
    messages: 3,
    send: async (open, messages) => {
      await Promise.all(messages.map(async message => (await send(open, message)).close()))
    }
  },
  'writes nothing': {
    messages: 0,
    send: async open => { await open() }
  },
  'uses sendBulk': {
    length: REQUEST_LENGTH + BULK,
    send: async (open, [message = '']) => { await sendBulk(await open(), [bytes(message), pattern(BULK)]) }
  }
}

/**
 * How it ends
 */
const CLOSES: Record<string, (dialer: NewDialer) => Promise<void>> = {
  'connection.close()': async ({ connection }) => connection.close(),
  'hangUp()': async ({ node, connection }) => node.hangUp(connection.remotePeer),
  'stop()': async ({ node }) => node.stop()
}

export const GOODBYES = Object.keys(SENDS).flatMap(send => Object.keys(CLOSES).map(close => [send, close] as const))

/**
 * How often each is done, and when. Straight after the dial, a TCP connection that is
 * closed while identify is on its way loses half of it with stock, too.
 */
export function roundsOver (transport: TransportName): string[] {
  return transport === 'tcp' ? ['identified', 'identified'] : ['identified', 'just dialled']
}

/**
 * In ticks. libp2p gives a connection a second to close.
 */
const PATIENCE = 60
const TIME_TO_ARRIVE = 6

/**
 * Whether the messages arrive
 */
export async function sayGoodbye (side: Side, protocol: string, round: string, [how, end]: readonly [string, string]): Promise<string> {
  const { send, messages = 1, length = REQUEST_LENGTH } = SENDS[how] ?? {}
  const dialer = await side.newDialer(round)
  const requests = Array.from({ length: messages }, nextRequest)
  const all = messages === 0 ? calledBy(dialer.node.peerId) : Promise.all(requests.map(async request => arrived(request, length)))

  const seen = await observe(async ({ note }) => {
    await send?.(async () => side.open(protocol, {}, dialer), requests)
    await CLOSES[end]?.(dialer).catch(err => { note(`${end} rejects with ${nameOf(err)}`) })
    note(await Promise.race([all.then(() => 'arrives'), ticks(TIME_TO_ARRIVE, 'is lost')]))
  }, PATIENCE)

  await dialer.node.stop()

  return seen
}
