import { describe, expect, it } from 'vitest'
import { withoutPassword } from '../../src/core/address.ts'
import { readRedisUrl } from '../../src/core/redis-address.ts'
import { passwordsOf } from '../../src/logging/redaction.ts'

const nobody = { username: '', password: '', isTls: false }

describe('the address of a Redis', () => {
  it.each([
    ['redis://127.0.0.1', { kind: 'one', ...nobody }],
    ['rediss://u:p%40@h:1/2', { kind: 'one', username: 'u', password: 'p@', isTls: true }],
  ])('may be of one: %s', (url, place) => expect(readRedisUrl(url)).toEqual(place))

  it('may be of Sentinels, with the name of their master', () => {
    const shared = { kind: 'sentinel', sentinelUsername: '', sentinelPassword: '' }
    expect(readRedisUrl('redis+sentinel://a,b:7,[::1]:8/main')).toEqual({
      ...{ ...shared, ...nobody, name: 'main', database: 0 },
      endpoints: [
        { host: 'a', port: 26379 },
        { host: 'b', port: 7 },
        { host: '::1', port: 8 },
      ],
    })
    expect(readRedisUrl('rediss+sentinel://u:p@a:1/my%20main/3?sentinelPassword=q&sentinelUsername=v')).toEqual({
      ...{ ...shared, username: 'u', password: 'p', isTls: true, name: 'my main', database: 3 },
      ...{ sentinelUsername: 'v', sentinelPassword: 'q', endpoints: [{ host: 'a', port: 1 }] },
    })
  })

  it('may be of some nodes of a cluster', () => {
    expect(readRedisUrl('redis+cluster://:p,q@a:1,b')).toEqual({
      ...{ kind: 'cluster', username: '', password: 'p,q', isTls: false },
      endpoints: [
        { host: 'a', port: 1 },
        { host: 'b', port: 6379 },
      ],
    })
  })

  it.each([
    'http://h',
    'h:6379',
    'redis://',
    'redis+sentinel://a:1',
    'redis+sentinel://a:1/',
    'redis+sentinel://a:1/main/x',
    'redis+sentinel:///main',
    'redis+sentinel://a:1,,b/main',
    'redis+sentinel://a:x/main',
    'redis+cluster://a:1/3',
    'redis+cluster://a:0',
    'redis+proxy://a:1',
  ])('is not %s', (url) => expect(readRedisUrl(url)).toBeUndefined())

  it('is shown without its passwords, and these are kept out of logs', () => {
    const url = 'rediss+sentinel://u:pass,w%C3%B6rd@a:1,b:2/main?sentinelPassword=other'
    expect(withoutPassword(url)).toBe('rediss+sentinel://a:1,b:2/main')
    expect(passwordsOf(url)).toEqual(expect.arrayContaining(['pass,wörd', 'other']))
  })
})
