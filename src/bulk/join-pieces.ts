import { concat } from 'uint8arrays/concat'

/**
 * Smaller pieces are joined, up to the length of a block: over QUIC there is one
 * for every 4 KiB
 */
const MIN_PIECE = 16 * 1024
const BLOCK = 64 * 1024

/**
 * What waits for the reader
 */
export class PieceQueue {
  #bytes = 0
  #first = 0
  #pieces: Uint8Array[] = []

  get byteLength (): number {
    return this.#bytes
  }

  add (data: Uint8Array | Iterable<Uint8Array>): void {
    for (const piece of data instanceof Uint8Array ? [data] : data) {
      this.#pieces.push(piece)
      this.#bytes += piece.byteLength
    }
  }

  /**
   * The next piece, or the next small ones in one
   */
  take (): Uint8Array | undefined {
    const start = this.#first
    let end = start
    let length = 0

    for (let piece = this.#pieces[end]; piece != null; piece = this.#pieces[++end]) {
      if (end > start && (piece.byteLength >= MIN_PIECE || length + piece.byteLength > BLOCK)) {
        break
      }

      length += piece.byteLength

      if (piece.byteLength >= MIN_PIECE) {
        end++
        break
      }
    }

    const taken = this.#pieces.slice(start, end)
    this.#first = end
    this.#bytes -= length
    this.#forget()

    return taken.length > 1 ? concat(taken, length) : taken[0]
  }

  clear (): void {
    this.#pieces = []
    this.#first = 0
    this.#bytes = 0
  }

  /**
   * Pieces that were taken are only in the way - but moving the others for each of
   * them would take long
   */
  #forget (): void {
    if (this.#first === this.#pieces.length || this.#first >= 256) {
      this.#pieces = this.#pieces.slice(this.#first)
      this.#first = 0
    }
  }
}
