/**
 * The listener for measurements on one machine, a process of its own
 */
import { ready } from '../child.ts'
import { startBulkListener } from './listener.ts'
import type { Endpoints } from './listener.ts'

const listener = await startBulkListener(['/ip4/127.0.0.1'])
const { ports, peers } = listener

ready({ ports, peers } satisfies Endpoints, [], [listener])
