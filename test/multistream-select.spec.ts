import { Uint8ArrayList } from 'uint8arraylist'
import { describe, expect, it } from 'vitest'
import { encodeHandshake, takeMessage } from '../src/negotiation/multistream-select.ts'
import { bytes } from './support/streams.ts'

describe('the handshake', () => {
  it('is what multistream-select 1.0 says', () => {
    expect(encodeHandshake('/echo/1.0.0')).toEqual(bytes('\x13/multistream/1.0.0\n\x0c/echo/1.0.0\n'))
  })

  it('counts bytes, not characters, in a length of up to two bytes', () => {
    const protocol = '/ö'.padEnd(200, 'x')
    const [, message = ''] = new TextDecoder().decode(encodeHandshake(protocol).subarray(20)).split(/^../u)

    expect(encodeHandshake(protocol).byteLength).toBe(20 + 2 + 202)
    expect(message.endsWith(`${protocol.slice(1)}\n`)).toBe(true)
  })
})

describe('a message', () => {
  it('is taken off the front, and nothing behind it', () => {
    const buffer = new Uint8ArrayList(encodeHandshake('/echo/1.0.0'), bytes('data'))

    expect(takeMessage(buffer)).toBe('/multistream/1.0.0')
    expect(takeMessage(buffer)).toBe('/echo/1.0.0')
    expect(buffer.subarray()).toEqual(bytes('data'))
  })

  it('is the same however it arrives', () => {
    const whole = encodeHandshake('/long/'.padEnd(1023, 'x'))

    for (let cut = 0; cut < whole.byteLength; cut++) {
      const buffer = new Uint8ArrayList(whole.subarray(0, cut))
      const messages = [takeMessage(buffer), takeMessage(buffer)]
      buffer.append(whole.subarray(cut))
      messages.push(takeMessage(buffer), takeMessage(buffer))

      expect(messages.filter(message => message != null)).toEqual(['/multistream/1.0.0', '/long/'.padEnd(1023, 'x')])
      expect(buffer.byteLength).toBe(0)
    }
  })

  it('is incomplete until its last byte is there', () => {
    for (const part of [[], [0x80], [0x03], [0x03, 0x6e], [0x03, 0x6e, 0x61]]) {
      const buffer = new Uint8ArrayList(Uint8Array.from(part))

      expect(takeMessage(buffer)).toBeUndefined()
      expect(buffer.byteLength).toBe(part.length)
    }
  })

  it.each([
    ['has no bytes', [0x00]],
    ['has one byte too many', [0x81, 0x08]],
    ['has a length of three bytes', [0x80, 0x80]],
    ['has a length of 2 GiB', [0xff, 0xff, 0xff, 0xff, 0x07]],
    ['does not end with a newline', [0x02, 0x6e, 0x61]]
  ])('is refused as soon as it %s', (_, message) => {
    expect(() => takeMessage(new Uint8ArrayList(Uint8Array.from(message)))).toThrow(expect.objectContaining({ name: 'InvalidMessageError' }))
  })
})
