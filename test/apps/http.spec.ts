import { http } from '@libp2p/http'
import { identifyPush } from '@libp2p/identify'
import { pEvent } from 'p-event'
import { describe, expect, it } from 'vitest'
import { pattern } from '../support/streams.ts'
import { connect, OVER_LINKS, runEverywhere, TRANSPORTS } from './run.ts'
import type { Run, TransportName } from './run.ts'

const HTTP = '/http/1.1'

async function startPair (run: Run, transport: TransportName, services = {}): Promise<{ listener: any, dialer: any }> {
  const listener = await run.node('other', { http: http(), ...services }, transport)

  listener.services.http.handle('/length/1.0.0', {
    path: '/length',
    method: ['GET', 'POST'],
    handler: async (req: Request) => new Response(`${req.method} ${(await req.arrayBuffer()).byteLength}`)
  })
  listener.services.http.handle('/big/1.0.0', {
    path: '/big',
    method: 'GET',
    handler: async () => new Response(Buffer.from(pattern(1024 * 1024)))
  })

  const dialer = await run.node('dialer', { http: http(), ...services }, transport)
  await connect(dialer, listener)

  return { listener, dialer }
}

it.each(TRANSPORTS)('@libp2p/http fetches over %s', async transport => {
  const answers = await runEverywhere(`@libp2p/http, fetches, ${transport}`, async run => {
    const { listener, dialer } = await startPair(run, transport)
    const { http } = dialer.services

    return run.time(async () => {
      const answers = []

      for (const size of transport === 'tcp' ? [0, 1, 1_000, 100_000] : [0, 0]) {
        const response = await http.fetch(`${listener.getMultiaddrs()[0]}/http-path/length`, size === 0 ? {} : { method: 'POST', body: pattern(size) })
        answers.push([response.status, await response.text()])
      }

      const { status } = await http.fetch(`${listener.getMultiaddrs()[0]}/http-path/not-there`)
      const big = await http.fetch(`${listener.getMultiaddrs()[0]}/http-path/big`)

      return [...answers, status, Buffer.compare(new Uint8Array(await big.arrayBuffer()), pattern(1024 * 1024))]
    })
  }, OVER_LINKS)

  // over QUIC headers and body may come together, and @libp2p/http 2 then loses the body,
  // with stock too
  const fetched = transport === 'tcp' ? ['GET 0', 'POST 1', 'POST 1000', 'POST 100000'] : ['GET 0', 'GET 0']
  expect(answers).toEqual([...fetched.map(text => [200, text]), 404, 0])
})

describe.each(TRANSPORTS)('@libp2p/http, where the peer has stopped to speak it, over %s', transport => {
  async function fetchFromGone (run: Run, services: any): Promise<any> {
    const { listener, dialer } = await startPair(run, transport, services)
    const isKnown = services.push == null ? undefined : pEvent(dialer, 'peer:identify')
    await listener.unhandle(HTTP)
    await isKnown

    return run.time(async () => dialer.services.http.fetch(`${listener.getMultiaddrs()[0]}/http-path/length`).then(
      ({ status }: Response) => status,
      ({ name }: Error) => name
    ))
  }

  it('fails, with an error of its own where the stream has been handed out', async () => {
    const isError = await runEverywhere(`@libp2p/http that is gone, ${transport}`, async run => {
      const error = await fetchFromGone(run, {})
      expect(error).toBe(run.hasService ? 'InvalidResponseError' : 'UnsupportedProtocolError')

      return error.endsWith('Error')
    })

    expect(isError).toBe(true)
  })

  it('fails as ever, if the peer has said so', async () => {
    const error = await runEverywhere(`@libp2p/http that is gone, and identify-push, ${transport}`, async run => fetchFromGone(run, { push: identifyPush({ debounce: 0 }) }))

    expect(error).toBe('UnsupportedProtocolError')
  })
})
