import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { passwordsOf, redactor, valuesOfList } from '../../src/logging/redaction.ts'

const nothingKnown = redactor([])

describe('redactor', () => {
  it.each([
    ['redis://user:pass@host:6379/0', 'redis://***@host:6379/0'],
    ['rediss://:p%40ss@host', 'rediss://***@host'],
    ['at http://me:a@b@host/v1, and more', 'at http://***@host/v1, and more'],
    ['"postgres://u:p@h"', '"postgres://***@h"'],
    ['Authorization: Bearer abc.def', 'Authorization: Bearer ***'],
    ['{"authorization":"Basic dXNlcjpwYXNz"}', '{"authorization":"Basic ***"}'],
    ['authorization=abcdef, next', 'authorization=***, next'],
    ['it sent bearer abcdefgh.', 'it sent bearer ***'],
    ['?api_key=abcdef&model=m', '?api_key=***&model=m'],
    ['X-Api-Key: abcdef', 'X-Api-Key: ***'],
    ['password=hunter2 for it', 'password=*** for it'],
    ['Incorrect API key provided: sk-proj-0123456789abcdef.', 'Incorrect API key provided: ***.'],
  ])('takes what looks like a secret out: %s', (text, clean) => {
    expect(nothingKnown(text)).toBe(clean)
  })

  it.each(['http://127.0.0.1:11434/v1?x=1', 'mail me@example.org', 'redis://127.0.0.1:6379', '7 tokens in 112 ms'])(
    'leaves what is none: %s',
    (text) => {
      expect(nothingKnown(text)).toBe(text)
    },
  )

  it('takes a known secret out however it is written, the longest first', () => {
    const redact = redactor(['a"b/c d', 'a"b/c d and more'])
    expect(redact(`1 a"b/c d and more 2 ${JSON.stringify('a"b/c d')} 3 ${encodeURIComponent('a"b/c d')}`)).toBe(
      '1 *** 2 "***" 3 ***',
    )
  })

  it('does not take words of the language for a secret: what is known counts from four characters on', () => {
    expect(redactor(['', 'a', 'abc'])('a b abc')).toBe('a b abc')
  })

  it('lets no URL keep its credentials', () => {
    const word = fc.stringMatching(/^[A-Z]{8,20}$/)
    fc.assert(
      fc.property(
        word,
        fc.constantFrom('redis', 'rediss', 'http', 'https', 'git+ssh'),
        fc.string(),
        (word, scheme, more) => {
          expect(nothingKnown(`${more} ${scheme}://me:${word}@host/path`)).not.toContain(word)
        },
      ),
    )
  })
})

describe('what is known', () => {
  it('holds the password of a URL as it stands there and as it is meant', () => {
    expect(passwordsOf('redis://u:p%40ss@h')).toEqual(['p%40ss', 'p@ss'])
    expect(passwordsOf('redis://h?password=other')).toEqual(['other'])
    expect([passwordsOf('redis://h'), passwordsOf('no URL'), passwordsOf(undefined)]).toEqual([[], [], []])
  })

  it('holds the values of headers, and tokens without their scheme', () => {
    expect(valuesOfList('authorization=Bearer%20abcd,x-key=efgh')).toEqual(
      expect.arrayContaining(['Bearer abcd', 'abcd', 'efgh']),
    )
  })
})
