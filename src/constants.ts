/**
 * The version of multistream-select that every message starts out from
 *
 * @see https://github.com/multiformats/multistream-select
 */
export const MULTISTREAM_PROTOCOL_ID = '/multistream/1.0.0'

/**
 * The largest multistream-select message that implementations accept, in bytes,
 * its newline included
 *
 * @see https://github.com/multiformats/go-multistream/blob/master/multistream.go (ReadNextToken)
 */
export const MAX_MESSAGE_LENGTH = 1024

/**
 * How long the other end may take to answer the handshake, in ms
 */
export const NEGOTIATION_TIMEOUT = 10_000

/**
 * How long the FIN stays behind the echo on muxers whose streams do not wait
 * for each other until the listener is probed, in ms, where answers have come before
 * the FIN until now
 *
 * Measured over QUIC against stock js-libp2p handlers that use `for await`, 20
 * streams at a time: with 10 ms and no probe 97% of them saw the end of the stream,
 * with 50 ms 5,998 of 6,000, with 100 ms all of them. But on a machine with three
 * times as many busy processes as cores 9 of 16,000 did not with 100 ms.
 */
export const FIN_DELAY = 100

/**
 * What comes in less than this part of a round trip after a FIN is no answer to it: timers
 * and the clock of another thread are not exact
 */
export const MIN_ANSWER = 0.9

/**
 * How long the FIN stays behind the data where it is to be learnt which of the two is
 * answered, in round trips
 */
export const FIN_LAG = 0.2

/**
 * The key in a peer's metadata under which the protocols of its last identify
 * message are stored, one to a line
 */
export const LAST_IDENTIFY_KEY = 'StreamOpenerProtocols'

/**
 * The key in a peer's metadata under which the encrypters are stored that the last dial
 * asked the peer for, one to a line. The last one is what it speaks.
 */
export const LAST_ENCRYPTERS_KEY = 'StreamOpenerEncrypters'

/**
 * How long a peer that was dialled may take to confirm an encrypter that it is taken to
 * speak, in ms: long enough for any link, and so much less than libp2p gives an address
 * that there is time to dial it again
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection-manager/constants.defaults.ts (ADDRESS_DIAL_TIMEOUT)
 */
export const FIRST_FLIGHT_TIMEOUT = 2_500

/**
 * How long the handshake of an encrypter waits for the encrypter's first message, in ms.
 * To sign the key of noise, or to make a certificate, takes 1 to 5 ms. Only an encrypter
 * that waits for the peer to speak first writes nothing.
 */
export const FIRST_MESSAGE_PATIENCE = 50

/**
 * How many refusals of encrypters and muxers are held, each takes some 200 bytes
 */
export const MAX_REFUSALS = 1_000

/**
 * How many of the protocols that a peer names in an identify message are held. Peers
 * have some 10 to 60 of them. A message may name 16,000 short ones in 80 KiB, which
 * would take 0.7 MiB for each connection of the peer, these take 42 KiB.
 */
export const MAX_KNOWN_PROTOCOLS = 1_000

/**
 * What libp2p's registrar gives to every handler that does not say otherwise, so
 * a handler that has it has not asked for it
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/registrar.ts
 */
export const DEFAULT_MAX_OUTBOUND_STREAMS = 64

/**
 * How many streams of a protocol may be open on a connection - a stock js-libp2p
 * listener resets the 33rd
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/registrar.ts (DEFAULT_MAX_INBOUND_STREAMS)
 */
export const MAX_STREAMS_PER_PROTOCOL = 32

/**
 * How many handshakes may be waited for, for each peer
 */
export const MAX_NEGOTIATIONS_PER_PEER = 32

/**
 * How many calls may wait, for each peer
 */
export const MAX_QUEUED_PER_PEER = 16_384

/**
 * A timer that is set for longer fires at once, in ms
 */
export const MAX_TIMEOUT = 2 ** 31 - 1

/**
 * How much longer peers have after the event loop was busy, in ms. After a machine has
 * slept it is late by hours.
 */
export const MAX_LATE = 1_000

/**
 * How long calls wait while nothing of what they wait for is given back, in ms
 */
export const QUEUE_TIMEOUT = 10_000

/**
 * How long calls that libp2p would not let wait do so while nothing of what they wait
 * for is given back, in ms
 */
export const IMPATIENT_QUEUE_TIMEOUT = 500

/**
 * How important a call is that does not say so, as for libp2p's own dial queue
 */
export const DEFAULT_PRIORITY = 50

/**
 * How many streams may be opened before the peer has answered anything on the
 * connection. A stock js-libp2p listener resets a connection on which more than 10
 * streams arrive before it has set it up, and identify opens one of them.
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/utils/src/abstract-stream-muxer.ts (maxEarlyStreams)
 */
export const MAX_EARLY_STREAMS = 8

/**
 * A node that says in identify that it speaks this does not lose the end of a
 * stream that comes before the protocol's handler listens
 */
export const LISTENER_GUARD_PROTOCOL = '/libp2p-stream-opener/listener-guard/1.0.0'

/**
 * How long the dial of one address for a bulk stream may take, in ms: on this
 * machine and in the local network, and elsewhere
 */
export const NEAR_DIAL_TIMEOUT = 3_000
export const FAR_DIAL_TIMEOUT = 10_000

/**
 * How long peer routing may look for the addresses of a peer, in ms
 */
export const LOOKUP_TIMEOUT = 10_000

/**
 * How long a dial for a bulk stream has to itself before the next address is
 * dialled as well, in ms
 *
 * @see https://datatracker.ietf.org/doc/html/rfc8305#section-5
 */
export const CONNECTION_ATTEMPT_DELAY = 50

/**
 * How many addresses of a peer are dialled for a bulk stream on one transport, as
 * many as libp2p dials
 */
export const MAX_ADDRESSES = 25

/**
 * How many connections of its own a bulk session with a connection per stream has
 */
export const MAX_SESSION_CONNECTIONS = 4

/**
 * How many connections bulk sessions dial to one host in how many ms. A stock
 * js-libp2p listener refuses a host's sixth one within a second.
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection-manager/constants.defaults.ts (INBOUND_CONNECTION_THRESHOLD)
 */
export const MAX_DIALS_PER_HOST = 4
export const DIALS_PER_HOST_INTERVAL = 1_100

/**
 * How long a bulk session waits before it dials again what was refused, in ms
 */
export const REFUSED_DIAL_BACKOFF = [250, 500, 1_000]

/**
 * How long the end of a connection, or of a bulk session, may take to be graceful, in ms:
 * what libp2p gives a connection by default
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection-manager/constants.defaults.ts (CONNECTION_CLOSE_TIMEOUT)
 */
export const CONNECTION_CLOSE_TIMEOUT = 1_000

/**
 * The same when a node is stopped
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/connection-manager/index.ts (stop)
 */
export const STOP_TIMEOUT = 500
