import { bulk } from './bulk.ts'
import { burst } from './burst.ts'
import { firstStream } from './first-stream.ts'
import { growth } from './growth.ts'
import { halfClose } from './half-close.ts'
import { handshakes } from './handshakes.ts'
import { kadDht } from './kad-dht.ts'
import { loss } from './loss.ts'
import { profile } from './profile.ts'
import { requestResponse } from './request-response.ts'
import { roundTrips } from './round-trips.ts'
import { sequential } from './sequential.ts'
import { soak } from './soak.ts'
import { stall } from './stall.ts'
import { stalledNeighbour } from './stalled-neighbour.ts'
import type { Scenario } from '../parts/scenario.ts'

/**
 * In the order in which they are run
 */
export const SCENARIOS: Scenario[] = [
  roundTrips,
  firstStream,
  sequential,
  profile,
  requestResponse,
  halfClose,
  burst,
  stalledNeighbour,
  growth,
  loss,
  stall,
  handshakes,
  bulk,
  kadDht,
  soak
]
