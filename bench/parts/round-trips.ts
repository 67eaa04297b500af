/**
 * How long the ways to a listener take to there and back, in ms: on loopback, and
 * through links
 */
export const ROUND_TRIPS = [0, 10, 50, 150] as const

export type RoundTrip = typeof ROUND_TRIPS[number]

export type Addresses <T> = Record<RoundTrip, T>
