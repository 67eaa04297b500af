/**
 * Answers with the size of the listener's heap, without garbage
 */
export const HEAP = '/heap/1.0.0'

/**
 * Makes the listener abort the connection
 */
export const KILL = '/kill/1.0.0'
