/**
 * Something that bulk data is sent through once
 */
export interface Pipe {
  /**
   * What the other end has got in all, in bytes
   */
  answer: Promise<number>

  /**
   * How many bytes have not been passed on to the connection or the kernel
   */
  buffered(): number

  /**
   * Send all of it, and the end
   */
  send(source: Iterable<Uint8Array>): Promise<unknown>
}

/**
 * One transfer, that of all its pipes together
 */
export interface Sample {
  /**
   * From the first byte until the last pipe has the answer, in MB/s
   */
  rate: number

  /**
   * CPU time of this process, and of the listener's, in ms for each MB
   */
  dialer: number
  listener: number

  /**
   * The most that a pipe had buffered, in MiB, where that is known
   */
  buffered?: number
}

export interface TransferInit {
  /**
   * How much goes through all pipes, in bytes
   */
  amount: number

  /**
   * The length of the chunks of the source, in bytes
   */
  chunk: number

  /**
   * The CPU time of the listener, in us
   */
  listenerCpu(): Promise<number>
}

const MIB = 1024 * 1024

function * chunksOf (data: Uint8Array, amount: number, onChunk: () => void): Generator<Uint8Array> {
  for (let left = amount; left > 0; left -= data.byteLength) {
    onChunk()

    yield data.subarray(0, Math.min(left, data.byteLength))
  }
}

export async function transfer (pipes: Pipe[], { amount, chunk, listenerCpu }: TransferInit): Promise<Sample> {
  const data = new Uint8Array(chunk).fill(1)
  const each = Math.ceil(amount / pipes.length / chunk) * chunk
  let buffered = 0

  const listenerBefore = await listenerCpu()
  const before = process.cpuUsage()
  const start = performance.now()

  const answers = await Promise.all(pipes.map(async pipe => {
    const source = chunksOf(data, each, () => { buffered = Math.max(buffered, pipe.buffered()) })
    const [bytes] = await Promise.all([pipe.answer, pipe.send(source)])

    return bytes
  }))

  const elapsed = performance.now() - start
  const { user, system } = process.cpuUsage(before)
  const listener = await listenerCpu() - listenerBefore
  const megabytes = each * pipes.length / 1e6

  if (answers.some(bytes => bytes !== each)) {
    throw new Error(`The listener got ${answers.join(', ')} bytes, not ${each}`)
  }

  return {
    rate: megabytes * 1000 / elapsed,
    dialer: (user + system) / 1000 / megabytes,
    listener: listener / 1000 / megabytes,
    buffered: buffered / MIB
  }
}
