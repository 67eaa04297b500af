/**
 * A protocol whose streams stay open, and nothing happens on them
 */
export const IDLE = '/idle/1.0.0'

export const MANY_STREAMS = 10_000
