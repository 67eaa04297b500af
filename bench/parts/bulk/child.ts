/**
 * The listener for measurements on one machine, a process of its own
 */
import { ready } from '../child.ts'
import { startBulkListener } from './listener.ts'

const listener = await startBulkListener(['/ip4/127.0.0.1'])

ready(listener.node.getMultiaddrs().map(String), [], [listener])
