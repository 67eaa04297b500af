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
 * for each other, in ms
 *
 * Measured over QUIC against stock js-libp2p handlers that use `for await`, 20
 * streams at a time: with 10 ms 97% of them saw the end of the stream, with
 * 50 ms 5,998 of 6,000, with 100 ms all of them.
 */
export const FIN_DELAY = 100

/**
 * The key in a peer's metadata under which the protocols of its last identify
 * message are stored, one to a line
 */
export const LAST_IDENTIFY_KEY = 'StreamOpenerProtocols'

/**
 * What libp2p allows where neither the handler of a protocol nor the caller says
 * otherwise
 *
 * @see https://github.com/libp2p/js-libp2p/blob/main/packages/libp2p/src/registrar.ts
 */
export const DEFAULT_MAX_OUTBOUND_STREAMS = 64

/**
 * So many streams of a connection can be closed while their FIN is still held
 * back, further ones wait for it. A listener counts them as open until it gets
 * the FIN, and by default resets the 33rd of a protocol.
 */
export const MAX_FINS_BEHIND = 4
