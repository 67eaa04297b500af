/**
 * What upstream does: a dial that begins in the microtasks after another one of the same
 * peer has ended joins that one, and is never settled, or rejected with the AbortError of
 * somebody else (@libp2p/utils 7, src/queue/job.ts and src/queue/index.ts).
 *
 * Where: https://github.com/libp2p/js-libp2p/blob/main/packages/utils/src/queue/job.ts,
 * test/interop/upstream/js-libp2p-ended-dial.md
 *
 * How it is detected: it is not, whoever dials again waits for the next turn of the event
 * loop.
 *
 * Without it: a stream that is opened when its connection was lost may never be there.
 *
 * Until: nobody can join a job that has ended.
 */

/**
 * Resolves when libp2p has forgotten about dials that have ended
 */
export { untilNextTurn as untilDialsAreForgotten } from '../util/next-turn.ts'
