/**
 * What everything but bulk data makes of TLS on the socket: no worse than noise, for
 * less CPU time
 */
import { noise } from '@libp2p/noise'
import { tls } from '../../src/tls/index.ts'
import { interleave } from './interleave.ts'
import { print } from './print.ts'
import { pairedRatioOf } from './statistics.ts'
import { printTable, spread } from './table.ts'
import { withConnection } from './with-dialer.ts'
import { withListener } from './with-listener.ts'
import type { InterleaveInit } from './interleave.ts'
import type { Recorder } from './recorder.ts'
import type { RoundTrip } from './round-trips.ts'
import type { Estimate } from './statistics.ts'
import type { Target } from './targets.ts'
import type { Block } from './throughput.ts'
import type { Dialer } from './with-dialer.ts'
import type { Connection } from '@libp2p/interface'

const NOISE = 'noise'
const TLS = 'TLS on the socket'

/**
 * What a shared machine can tell
 */
const NO_WORSE = 1.05

export interface BesideNoiseInit extends InterleaveInit {
  /**
   * What is done
   */
  name: string

  /**
   * How far away the listener is, in ms
   */
  roundTrip: RoundTrip

  recorder: Recorder

  /**
   * Does it, some times over
   */
  block(dialer: Dialer, connection: Connection): Promise<Block>
}

export async function besideNoise ({ name, roundTrip, recorder, block, ...init }: BesideNoiseInit): Promise<Target[]> {
  print(`measuring ${name} over TCP with ${NOISE} and with ${TLS}, round trip of ${roundTrip} ms ...`)

  const samples = await withListener('tcp', async noises => withListener('tcp', async sockets => {
    return withConnection(noises[roundTrip], async (first, overNoise) => withConnection(sockets[roundTrip], async (second, overTls) => interleave({
      [NOISE]: async () => block(first, overNoise),
      [TLS]: async () => block(second, overTls)
    }, init), {}, { connectionEncrypters: [tls()] }), {}, { connectionEncrypters: [noise()] })
  }, 'tls'))

  const of = (encrypter: typeof NOISE | typeof TLS, figure: keyof Block): number[] => samples[encrypter].map(block => block[figure])

  printTable(['over TCP', 'encrypter', 'us', 'CPU, us'], ([NOISE, TLS] as const).map(encrypter => {
    const labels = { encrypter, 'round trip, ms': roundTrip }

    return [
      name,
      encrypter,
      spread(recorder.add(`time of ${name}`, 'us', labels, of(encrypter, 'time'))),
      spread(recorder.add(`CPU of ${name}`, 'us', labels, of(encrypter, 'cpu')))
    ]
  }))

  const toNoise = (figure: keyof Block): Estimate => pairedRatioOf(of(TLS, figure), of(NOISE, figure))
  const time: Target = { name: `time of ${name} over ${TLS} to ${NOISE}, ${roundTrip} ms away`, value: toNoise('time'), atMost: NO_WORSE }

  // while it waits for the link, most of the CPU time is for something else
  return roundTrip > 0 ? [time] : [time, { name: `CPU of ${name} over ${TLS} to ${NOISE}`, value: toNoise('cpu'), atMost: 1 }]
}
