/**
 * Smaller pieces are joined, up to the length of a block: over QUIC there is one
 * for every 4 KiB
 */
const MIN_PIECE = 16 * 1024
const BLOCK = 64 * 1024

/**
 * What waits for the reader, in not much more memory than it has bytes. A peer can send
 * one byte at a time, each with an object, and maybe all of what a socket has read at
 * once, to itself. So small pieces are joined when they arrive, and not when they are
 * read.
 */
export class PieceQueue {
  #bytes = 0
  #first = 0
  #pieces: Uint8Array[] = []

  /**
   * Small pieces that came last. As long as it is only one it is there as it came, and
   * is full.
   */
  #block?: Uint8Array
  #blockLength = 0

  get byteLength (): number {
    return this.#bytes
  }

  add (data: Uint8Array | Iterable<Uint8Array>): void {
    for (const piece of data instanceof Uint8Array ? [data] : data) {
      this.#bytes += piece.byteLength

      if (piece.byteLength >= MIN_PIECE) {
        this.#endBlock()
        this.#pieces.push(piece)
      } else if (piece.byteLength > 0) {
        this.#join(piece)
      }
    }
  }

  /**
   * The next piece, or the next small ones in one
   */
  take (): Uint8Array | undefined {
    const piece = this.#pieces[this.#first] ?? this.#block?.subarray(0, this.#blockLength)

    if (piece == null) {
      return
    }

    if (this.#first < this.#pieces.length) {
      this.#first++
      this.#forget()
    } else {
      this.#block = undefined
      this.#blockLength = 0
    }

    this.#bytes -= piece.byteLength

    return piece
  }

  clear (): void {
    this.#pieces = []
    this.#block = undefined
    this.#blockLength = 0
    this.#first = 0
    this.#bytes = 0
  }

  #join (piece: Uint8Array): void {
    if (this.#blockLength + piece.byteLength > BLOCK) {
      this.#endBlock()
    }

    const length = this.#blockLength + piece.byteLength

    if (this.#block == null) {
      this.#block = piece
    } else {
      if (length > this.#block.byteLength) {
        const larger = new Uint8Array(Math.min(2 * length, BLOCK))
        larger.set(this.#block.subarray(0, this.#blockLength))
        this.#block = larger
      }

      this.#block.set(piece, this.#blockLength)
    }

    this.#blockLength = length
  }

  /**
   * A block that is not full, or a piece of something large, would hold more memory
   * than it has bytes
   */
  #endBlock (): void {
    if (this.#block != null) {
      const block = this.#block.subarray(0, this.#blockLength)

      this.#pieces.push(block.buffer.byteLength > 2 * block.byteLength ? new Uint8Array(block) : block)
      this.#block = undefined
      this.#blockLength = 0
    }
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
