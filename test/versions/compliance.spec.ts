/**
 * What js-libp2p tests every transport with, between nodes whose streams are all
 * opened by the stream opener, and every encrypter. The other suites of
 * `@libp2p/interface-compliance-tests` are about muxers and peer discovery by
 * themselves, none of them opens a stream of a node.
 */
import { join } from 'node:path'
import { QUIC_V1, TCP } from '@multiformats/multiaddr-matcher'
import { identify } from '@libp2p/identify'
import { defaultLogger } from '@libp2p/logger'
import { streamOpener } from 'libp2p-stream-opener'
import { tls } from 'libp2p-stream-opener/tls'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest'
import { STACKS } from './nodes.ts'
import type { Metrics, PrivateKey, Upgrader } from '@libp2p/interface'
import type { StreamOpener, StreamOpenerComponents } from 'libp2p-stream-opener'

interface MochaContext {
  timeout(): void
  skip(): never
}

// the suite was written for mocha
Object.assign(globalThis, {
  describe,
  before: beforeAll,
  after: afterAll,
  beforeEach,
  afterEach,
  it: (name: string, fn: (this: MochaContext) => unknown) => {
    it(name, async () => fn.call({
      timeout: () => {},
      skip: () => { throw new Error('Nothing is to be skipped') }
    }))
  }
})

const SUITES = join(inject('tree'), 'node_modules/@libp2p/interface-compliance-tests/dist/src')
const { default: testTransport } = await import(join(SUITES, 'transport/index.js'))
const { default: testEncrypter } = await import(join(SUITES, 'connection-encryption/index.js'))

// on streams that are not sockets
testEncrypter({
  setup: async ({ privateKey }: { privateKey: PrivateKey }) => tls()({
    privateKey,
    logger: defaultLogger(),
    upgrader: { getStreamMuxers: () => new Map() } as unknown as Upgrader
  }),
  teardown: async () => {}
})

describe.each([
  ['tcp, noise and yamux', TCP],
  ['tcp, tls on the socket and yamux', TCP],
  ['quic', QUIC_V1]
])('over %s', (name, matcher) => {
  const { addresses: { listen = [] } = {}, ...stack } = STACKS[name] ?? {}
  const opened: string[] = []

  /**
   * Notes how streams are opened
   */
  function notedOpener (components: StreamOpenerComponents): StreamOpener {
    const { connectionManager, registrar, peerStore, events, logger, peerId, transportManager, upgrader, connectionGater, peerRouting } = components
    const metrics = {
      registerCounterGroup: (metric: string) => ({
        increment: () => {
          if (metric.endsWith('_opens_total')) {
            opened.push(metric)
          }
        }
      }),
      registerHistogram: () => ({ observe: () => {} }),
      registerMetric: () => {},
      trackProtocolStream: () => {}
    }

    return streamOpener({ intercept: true })({
      connectionManager,
      registrar,
      peerStore,
      events,
      logger,
      peerId,
      transportManager,
      upgrader,
      connectionGater,
      peerRouting,
      metrics: metrics as unknown as Metrics
    })
  }

  testTransport({
    setup: async () => ({
      dialer: { ...stack, services: { identify: identify(), streamOpener: notedOpener } },
      listener: {
        ...stack,
        addresses: { listen: [...listen, ...listen] },
        services: { identify: identify(), streamOpener: streamOpener({ intercept: true }) }
      },
      dialMultiaddrMatcher: matcher,
      listenMultiaddrMatcher: matcher
    }),
    teardown: async () => {}
  })

  it('opened the streams of all these tests, nearly all of them optimistically', () => {
    expect(opened.filter(metric => metric.includes('optimistic')).length).toBeGreaterThan(2_000)
  })
})
