/**
 * What is only installed for these tests, see programs.ts. They are checked by running them.
 */
declare module 'helia'
declare module '@helia/*'
declare module '@ipld/dag-cbor'
declare module '@libp2p/floodsub'
declare module '@libp2p/http'
declare module '@libp2p/webrtc'
declare module '@orbitdb/core'
declare module 'lodestar-gossipsub'
declare module '@peerbit/*'
declare module 'peerbit'
