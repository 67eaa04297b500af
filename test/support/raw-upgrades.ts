import { Uint8ArrayList } from 'uint8arraylist'
import type { Libp2p, MessageStream, MultiaddrConnection, Upgrader } from '@libp2p/interface'

/**
 * Plays the listener on an inbound connection that nobody has answered yet. `upgrade` is
 * what libp2p does with it.
 */
export type RawUpgrade = (maConn: MultiaddrConnection, upgrade: () => Promise<void>) => void | Promise<void>

export interface RawUpgrades {
  /**
   * How many connections have come in
   */
  count: number

  /**
   * What is done with the next ones, one after the other. All others are upgraded.
   */
  next: RawUpgrade[]

  /**
   * Looks at each of them before
   */
  always?(maConn: MultiaddrConnection): void
}

/**
 * Makes a stock node play tricks on connections before they are encrypted, over any
 * transport
 *
 * A real peer cannot be made to answer in a wrong way.
 */
export function takeUpgrades (node: Libp2p): RawUpgrades {
  const { upgrader } = (node as unknown as { components: { upgrader: Upgrader } }).components
  const upgradeInbound = upgrader.upgradeInbound.bind(upgrader)
  const raw: RawUpgrades = { count: 0, next: [] }

  upgrader.upgradeInbound = async (maConn: MultiaddrConnection, options: any) => {
    const play = raw.next.shift()
    const upgrade = async (): Promise<void> => upgradeInbound(maConn, options)
    raw.count++
    raw.always?.(maConn)

    return play == null ? upgrade() : play(maConn, upgrade)
  }

  return raw
}

/**
 * Resolves with what the dialer sends first
 */
export async function firstMessage (stream: MessageStream): Promise<Uint8Array> {
  return new Promise(resolve => {
    stream.addEventListener('message', evt => { resolve(evt.data.subarray()) }, { once: true })
  })
}

/**
 * What is sent is held until there are more than so many bytes of it, and leaves in two
 * parts, of which the first one has so many bytes
 */
export function splitAt (stream: MessageStream, length: number): void {
  const send = stream.send.bind(stream)
  const sent = new Uint8ArrayList()
  let isCut = false

  stream.send = data => {
    sent.append(data)

    if (!isCut && sent.byteLength > length) {
      isCut = true
      send(sent.sublist(0, length))
      sent.consume(length)

      // not in the same segment
      setImmediate(() => {
        setImmediate(() => {
          stream.send = send

          if (stream.status === 'open') {
            send(sent)
          }
        })
      })
    }

    return true
  }
}
