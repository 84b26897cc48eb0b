import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { headerFault, repeatedNames, secretsOfHeader } from '../../src/nodes/request-headers.ts'

describe('a header of a node', () => {
  it.each([
    ['authorization', 'Bearer tok-123456'],
    ['X-Api-Key', ' k '],
    ['x-team', 'a\tb c'],
    ["!#$%&'*+-.^_`|~", '1'],
  ])('may be %s: %j', (name, value) => {
    expect(headerFault(name, value)).toBeUndefined()
  })

  it.each<[string, unknown, string]>([
    ...['', ' ', 'x y', 'x:', 'ü', 'x\n', 'x'.repeat(257)].map((name): [string, unknown, string] => [
      name,
      'v',
      'a name',
    ]),
    ...['Host', 'content-type', 'Content-Length', 'connection', 'Transfer-Encoding', 'traceparent'].map(
      (name): [string, unknown, string] => [name, 'v', 'by Caesura'],
    ),
    ['x', '', 'empty'],
    ['x', ' \n', 'empty'],
    ['x', 'a\nb', 'character'],
    ['x', 'a\r\nhost: b', 'character'],
    ['x', 'é', 'character'],
    ['x', '\u0000', 'character'],
    ['x', 'a'.repeat(8193), 'too long'],
    ['x', 1, 'no text'],
    ['x', null, 'no text'],
  ])('may not be %j: %j', (name, value, fault) => {
    expect(headerFault(name, value)?.message).toContain(fault)
  })

  it('never has its value in what is wrong with it', () => {
    fc.assert(
      fc.property(fc.string(), fc.string({ minLength: 3 }), (name, value) => {
        const fault = headerFault(name, `${value}marker\u0000`)
        expect(JSON.stringify(fault)).not.toContain('marker')
      }),
    )
  })

  it('stands there once, whatever its case', () => {
    expect(repeatedNames(['x-a', 'x-b', 'X-A', 'X-a'])).toEqual(['X-A', 'X-a'])
  })
})

it('the secrets of a header are its value, its token, and the password of Basic', () => {
  expect(secretsOfHeader(' Bearer tok-123456 ')).toEqual(['Bearer tok-123456', 'tok-123456'])
  const basic = Buffer.from('alice:s3cret:pw').toString('base64')
  expect(secretsOfHeader(`Basic ${basic}`)).toEqual([`Basic ${basic}`, basic, 'alice:s3cret:pw', 's3cret:pw'])
  expect(secretsOfHeader('key-1')).toEqual(['key-1'])
  expect(secretsOfHeader('on')).toEqual([])
})
