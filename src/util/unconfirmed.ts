/**
 * Connections that are used before the peer has confirmed the encrypter. An encrypter that
 * goes past the connection, to the socket below, has to wait for that.
 */
const unconfirmed = new WeakMap<object, () => Promise<void>>()

/**
 * `confirm` resolves when the peer has confirmed it, or the connection is closed
 */
export function addUnconfirmed (connection: object, confirm: () => Promise<void>): void {
  unconfirmed.set(connection, confirm)
}

export async function untilConfirmed (connection: object): Promise<void> {
  await unconfirmed.get(connection)?.()
}
