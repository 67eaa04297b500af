/**
 * What the page and the listeners in Node.js know of each other
 */

/**
 * Handled by a listener that notes what it gets, and sends it back at the end
 */
export const NOTES = '/notes/1.0.0'

export type ListenerKind = 'stock' | 'guarded'

/**
 * A listener, with a relay before it
 */
export interface Listener {
  id: number
  peerId: string

  /**
   * Address of the relay
   */
  addr: string
}

/**
 * What the page can ask of Node.js, where values are passed as JSON
 */
export interface ListenerCommands {
  startListener(kind: ListenerKind): Promise<Listener>

  stopListener(id: number): Promise<void>

  /**
   * Keep everything that the listener sends from now on
   */
  hold(id: number): Promise<void>

  /**
   * Pass on what was kept, and everything that follows
   */
  release(id: number): Promise<void>

  /**
   * Resolves when the listener has noted that it read a request, or its end
   */
  noted(id: number, note: string): Promise<void>

  /**
   * Have the listener open a stream to the page, and return the answer
   */
  ask(id: number, peerId: string, protocol: string, request: string): Promise<string>
}

declare module 'vitest/browser' {
  interface BrowserCommands extends ListenerCommands {}
}
