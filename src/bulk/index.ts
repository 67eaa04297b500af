/**
 * What the package exports for bulk streams
 */
export { BulkTransferError, TransportUnavailableError } from '../errors.ts'
export { filterByScope, filterByTransport } from './dial/filters.ts'
export { receiveBulk } from './transfer/receive-bulk.ts'
export { sendBulk } from './transfer/send-bulk.ts'
export { transportOf } from '../transport-of.ts'
export type { BulkChunk, BulkSource } from './transfer/iterate-source.ts'
export type { ReceiveBulkOptions } from './transfer/receive-bulk.ts'
export type { BulkProgress, BulkProgressEvent, BulkProgressOptions } from './transfer/report-progress.ts'
export type { SendBulkOptions, SendBulkResult } from './transfer/send-bulk.ts'
export type * from './types.ts'
