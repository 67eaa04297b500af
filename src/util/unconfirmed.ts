/**
 * Connections that are used before the peer has confirmed the encrypter. An encrypter that
 * goes past the connection, to the socket below, must not do so before.
 */
const unconfirmed = new WeakMap<object, Promise<void>>()

/**
 * The promise resolves when the peer has confirmed it, or the connection is closed
 */
export function addUnconfirmed (connection: object, confirmed: Promise<void>): void {
  unconfirmed.set(connection, confirmed)
}

export function whenConfirmed (connection: object): Promise<void> | undefined {
  return unconfirmed.get(connection)
}
